r"""The moderator `words`: a list of words and phrases, one a line, in a UTF-8 file.

    # a comment
    [violence]                a category; lines before the first one are of the category "words"
    some phrase               found as whole words, whatever their case, width and invisible characters
    词语                      scripts without spaces: found anywhere
    re: \bb[a4]d\b            a regular expression over the folded text (lower case, single blanks)

An expression that takes exponential time holds up the whole process: they are the operator's to choose.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastchat.arena.folding import begins_word, ends_word, fold
from fastchat.arena.moderation.base import Judgement, Role, Spec, Surroundings
from fastchat.core.errors import SetupError

_DEFAULT_CATEGORY = "words"
_EXPRESSION = "re:"


@dataclass(frozen=True, slots=True)
class Finding:
    category: str
    line: int


@dataclass(slots=True)
class _Node:
    """A place in the tree of all phrases, letter by letter: one walk a word, however long the list is."""

    after: "dict[str, _Node]" = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Expression:
    pattern: re.Pattern[str]
    finding: Finding


class WordList:
    sees_images = False

    def __init__(self, lines: Sequence[str], name: str) -> None:
        """
        Raises:
            SetupError: a line cannot be used; says which.
        """
        self._name = name
        self._phrases = _Node()
        self._expressions: list[_Expression] = []
        category = _DEFAULT_CATEGORY
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                category = self._category(line, number)
            else:
                self._add(line, Finding(category, number))
        if not self._phrases.after and not self._expressions:
            raise SetupError(f"{name} holds no word: nothing would ever be flagged. Write one a line.")

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        found = await asyncio.to_thread(self._found, text)  # the words of several files are a second's work
        return Judgement(
            "words",
            is_flagged=bool(found),
            categories={finding.category: 1.0 for finding in found},
            detail=", ".join(f"{self._name}:{finding.line}" for finding in found),
        )

    def _found(self, text: str) -> list[Finding]:
        return sorted(set(self.findings(text)), key=lambda finding: finding.line)

    def findings(self, text: str) -> Iterator[Finding]:
        folded = fold(text)
        for expression in self._expressions:
            if expression.pattern.search(folded):
                yield expression.finding
        for start in range(len(folded)):
            if folded[start] in self._phrases.after and begins_word(folded, start):
                yield from self._phrases_at(folded, start)

    def _phrases_at(self, folded: str, start: int) -> Iterator[Finding]:
        node = self._phrases
        for end in range(start, len(folded)):
            following = node.after.get(folded[end])
            if following is None:
                return
            node = following
            if node.findings and ends_word(folded, end + 1):
                yield from node.findings

    def _add(self, line: str, finding: Finding) -> None:
        if line.startswith(_EXPRESSION):
            pattern = self._compile(line.removeprefix(_EXPRESSION).strip(), finding.line)
            self._expressions.append(_Expression(pattern, finding))
            return
        folded = fold(line)
        if not folded:
            raise self._wrong(finding.line, "the line holds invisible characters only; delete it")
        node = self._phrases
        for char in folded:
            node = node.after.setdefault(char, _Node())
        node.findings.append(finding)

    def _category(self, line: str, number: int) -> str:
        name = line.removeprefix("[").removesuffix("]").strip()
        if not line.endswith("]") or not name:
            raise self._wrong(number, f"{line!r} should be the name of a category in brackets, as [violence]")
        return name

    def _compile(self, expression: str, number: int) -> re.Pattern[str]:
        try:
            pattern = re.compile(expression, re.IGNORECASE)
        except re.error as error:
            raise self._wrong(number, f"{expression!r} is no regular expression: {error}") from None
        if pattern.search(""):
            raise self._wrong(number, f"{expression!r} matches the empty text, so it would flag everything")
        return pattern

    def _wrong(self, number: int, what: str) -> SetupError:
        return SetupError(f"{self._name}:{number}: {what}.")


async def load(spec: Spec, around: Surroundings) -> WordList:
    if not spec.argument or spec.settings:
        raise SetupError("The moderator 'words' takes a file and nothing else: words:FILE.")
    return read(Path(spec.argument))


def read(file: Path) -> WordList:
    """
    Raises:
        SetupError: there is no such file, or a line of it cannot be used.
    """
    try:
        return WordList(file.expanduser().read_text("utf-8-sig").split("\n"), file.name)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SetupError(f"{file}:{line}: this is not UTF-8; save the word list as UTF-8.") from None
    except OSError as error:
        raise SetupError(f"The word list {file} cannot be read: {error.strerror}.") from None
