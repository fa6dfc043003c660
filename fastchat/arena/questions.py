"""An arena's own questions, to draw from.

    {"text": "May a tenant keep a cat?", "category": "tenancy"}     a line each, in a file of JSON lines
    [{"question": "What is on this picture?", "path": "cat.png"}]   FastChat's file of `--random-questions`

Paths of images are read against the folder that the file is in.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import NotFound, SetupError


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str = Field(min_length=1, validation_alias=AliasChoices("text", "question"))
    category: str | None = None
    image: str | None = Field(None, validation_alias=AliasChoices("image", "path"))


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    category: str | None = None
    image: Path | None = None


class QuestionSet:
    def __init__(self, questions: tuple[Question, ...] = ()) -> None:
        self._questions = questions
        self._texts = {_bare(question.text) for question in questions}

    @classmethod
    def read(cls, file: Path) -> Self:
        """
        Raises:
            SetupError: the file cannot be read, or a line of it is no question; says which.
        """
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"The questions in {file} cannot be read: {error}.") from None
        questions = tuple(_question(entry, where, file.parent) for where, entry in _entries(text, file))
        if not questions:
            raise SetupError(f'{file} holds no question. Write one a line: {{"text": "…"}}')
        return cls(questions)

    def __len__(self) -> int:
        return len(self._questions)

    def __iter__(self) -> Iterator[Question]:
        return iter(self._questions)

    def holds(self, text: str) -> bool:
        return _bare(text) in self._texts

    def draw(self, rng: random.Random, category: str | None = None) -> Question:
        """
        Raises:
            NotFound: there is none of that category.
        """
        found = [question for question in self._questions if category is None or question.category == category]
        if not found:
            of_it = f" of the category {category[:80]!r}" if category else ""
            raise NotFound(f"This arena has no question{of_it} to draw. Write one of your own.", param="category")
        return rng.choice(found)


def _entries(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    """What stands in the file, each with its place."""
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except ValueError as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
            raise SetupError(f"{file}:{line}: this is not JSON: {error}.") from None
        yield from ((f"{file}: entry {number}", entry) for number, entry in enumerate(entries, 1))
        return
    for number, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield f"{file}:{number}", json.loads(content)
            except ValueError as error:
                raise SetupError(f"{file}:{number}: this is not JSON: {error}.") from None


def _question(entry: Any, where: str, folder: Path) -> Question:
    try:
        read = _Entry.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the line"
        raise SetupError(
            f'{where}: {field}: {first["msg"]}. A question is {{"text": "…"}}, perhaps with "category" and "image".'
        ) from None
    image = folder / read.image if read.image else None
    if image is not None and not image.is_file():
        raise SetupError(f"{where}: there is no image {image}.")
    return Question(read.text, read.category, image)


def _bare(text: str) -> str:
    return " ".join(text.split())
