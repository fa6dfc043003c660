"""Sets of questions: ours by name, FastChat's by their folder's name, anybody's by path; and one to begin with."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.llm_judge.question_files import KINDS, PlacedQuestion, kind_of, read_file
from fastchat.llm_judge.question_hub import PREFIX, fetch
from fastchat.llm_judge.records import Question

_FILE = "question.jsonl"  # in a folder that is named like the set
_BEGINNING = ("README.md", "questions.yaml", "suite.toml")  # of a new set
_NO_QUESTIONS = ("manifest.json", "certificate.json")  # what signing leaves in a folder
# Where FastChat's commands look for data/NAME: in the folder they run in, and in a checkout.
_FOLDERS = (Path("data"), Path("fastchat/llm_judge/data"))
# Sets that people ask for by name, though they do not come with this package: the file in lm-sys/FastChat.
_ELSEWHERE = {
    "mt_bench": "fastchat/llm_judge/data/mt_bench/question.jsonl",
    "vicuna_bench": "fastchat/llm_judge/data/vicuna_bench/question.jsonl",
}


@dataclass(frozen=True, slots=True)
class QuestionSet:
    name: str
    questions: tuple[Question, ...]
    source: str  # where it was read

    @property
    def sha256(self) -> str:
        """Of what is asked, however it is packed or indented: sets that have the same one are the same questions."""
        rows = [question.model_dump(mode="json", exclude_none=True) for question in self.questions]
        return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_questions(
    source: str | Path, *, begin: int | None = None, end: int | None = None, first_n: int | None = None
) -> QuestionSet:
    """A set by its name, or a file (hf://datasets/OWNER/NAME/FILE for one on the hub), or a folder of them; of it those
    from number `begin` to before `end`, counted from 0, and of these the first `first_n`.

    Raises:
        SetupError: there is no such set, something in it is no question, two have the same id, or none is left.
    """
    place = _find(source)
    whole = tuple(placed.question for placed in _without_duplicates(_read(place)))
    for flag, number in (("begin", begin), ("end", end), ("first-n", first_n)):
        if number is not None and number < 0:
            raise SetupError(f"{flag} {number}: is counted from the first question, 0 or more.")
    chosen = whole[begin:end][:first_n]
    if not chosen:
        raise SetupError(f"{place} has {len(whole)} questions, and none of them is among those asked for.")
    told = source if _is_on_hub(source) else place  # files in the hub's cache lie under a commit's number
    return QuestionSet(_name(Path(told)), chosen, str(told))


def shipped_sets() -> list[str]:
    """Names of the sets that come with the package."""
    return sorted(folder.name for folder in _shipped().iterdir() if (folder / _FILE).is_file())


def folder_of(source: str) -> Path:
    """Where a set lies that is named, or given by its folder."""
    return _shipped() / source if source in shipped_sets() else Path(source)


def new_set(folder: Path) -> list[Path]:
    """Begins a set of one's own in `folder`: an example to change, a page that explains it, and what it is called where
    it shall be signed. Returns the files.

    Raises:
        SetupError: something of that name is there already, or cannot be written.
    """
    targets = [folder / name for name in _BEGINNING]
    taken = next((target for target in targets if target.exists()), None)
    if taken:
        raise SetupError(f"{taken} is there already, and is left as it is. Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in targets:
            text = (_shipped() / "new_set" / target.name).read_text("utf-8")
            target.write_text(text.replace('"NAME"', json.dumps(folder.resolve().name, ensure_ascii=False)), "utf-8")
    except OSError as error:
        raise SetupError(f"{folder} cannot be written: {error.strerror or error}.") from None
    return targets


def _shipped() -> Path:
    return Path(str(files("fastchat.llm_judge") / "data"))


def _find(source: str | Path) -> Path:
    """A shipped name always means the shipped set, whatever lies in the folder that a command runs in."""
    if _is_on_hub(source):
        return fetch(str(source))
    path = Path(source)
    is_name = source == path.name and kind_of(path) not in KINDS
    if is_name:
        named = [folder / path / _FILE for folder in (_shipped(), *_FOLDERS)]
        found = next((file for file in named if file.is_file()), None)
        if found:
            return found
    if path.exists():
        return path
    if not is_name:
        raise SetupError(f"There is no file or folder {path}.")
    raise SetupError(_unknown(path.name))


def _is_on_hub(source: str | Path) -> bool:
    return isinstance(source, str) and source.startswith(PREFIX)


def _unknown(name: str) -> str:
    elsewhere = _ELSEWHERE.get(name)
    told = f" It does not come with this package: lm-sys/FastChat has it as {elsewhere}." if elsewhere else ""
    return (
        f"There is no question set {name!r}: none that is shipped ({', '.join(shipped_sets())}), no "
        f"{_FOLDERS[0] / name / _FILE} and nothing of that name here.{told} "
        "A file or a folder is given by its path: --questions FILE."
    )


def _name(place: Path) -> str:
    if place.name == _FILE:
        return place.absolute().parent.name
    if place.is_dir():
        return place.absolute().name
    return Path(place.name.removesuffix(".gz")).stem


def _read(place: Path) -> Iterator[PlacedQuestion]:
    if place.is_file():
        yield from read_file(place)
    elif (place / _FILE).is_file():
        yield from read_file(place / _FILE)
    else:
        found = _inside(place)
        if not found:
            raise SetupError(f"{place} has no questions: neither {_FILE} nor other files of {', '.join(KINDS)}.")
        for file in found:
            for at, question in read_file(file):
                named = question if question.category else question.model_copy(update={"category": _name(file)})
                yield PlacedQuestion(at, named)  # a file a topic, unless its questions say otherwise


def _inside(folder: Path) -> Sequence[Path]:
    files = [file for file in folder.iterdir() if kind_of(file) in KINDS and file.is_file()]
    return sorted(file for file in files if file.name not in _NO_QUESTIONS)


def _without_duplicates(placed: Iterable[PlacedQuestion]) -> Iterator[PlacedQuestion]:
    seen: dict[str, str] = {}
    for one in placed:
        known = seen.setdefault(str(one.question.question_id), one.place)
        if known != one.place:
            raise SetupError(
                f"{one.place}: the question_id {one.question.question_id} is taken by {known}. Answers and verdicts "
                "are found by it: give each question its own."
            )
        yield one
