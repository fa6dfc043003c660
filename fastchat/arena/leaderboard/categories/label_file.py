r"""Labels of texts in a file that only grows: what a model, or lingua, has said of a text and need not be asked again.

    {"task": "math", "by": "our-model, prompt 3f2a91c0", "text": "9b74c9…", "labels": {"math": true}}

`text` is a SHA-256 of the text, so the file holds no conversation. A line is written in one piece as soon as it is
known; a last line that a kill has torn is passed over, and its label is found again.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fastchat.core.errors import SetupError

log = logging.getLogger(__name__)

Values: TypeAlias = Mapping[str, Any]  # JSON: True, False, a number or a name each

_BEGINNING = b'{"task": "'


@dataclass(frozen=True, slots=True)
class Label:
    """`by` is who said it and how: labels of another prompt or model are other labels."""

    task: str
    by: str
    text: str  # digest
    labels: Values


def digest_of(text: str) -> str:
    """The same whatever blanks and line ends are between the words: files and tables differ in them."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


class LabelFile:
    """What is in the file, and the open file."""

    def __init__(self, descriptor: int, known: dict[tuple[str, str, str], Values]) -> None:
        self._descriptor = descriptor
        self._known = known

    def __len__(self) -> int:
        return len(self._known)

    def get(self, task: str, by: str, text: str) -> Values | None:
        return self._known.get((task, by, text))

    def add(self, label: Label) -> None:
        line = json.dumps(asdict(label), ensure_ascii=False) + "\n"
        os.write(self._descriptor, line.encode("utf-8"))
        self._known[label.task, label.by, label.text] = label.labels


@contextmanager
def open_labels(file: Path) -> Iterator[LabelFile]:
    """Made if there is none.

    Raises:
        SetupError: it cannot be written, or is something else.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise SetupError(f"The labels {file} cannot be written: {error.strerror or error}.") from None
    try:
        known = {(one.task, one.by, one.text): one.labels for one in read_labels(file)}
        _end_the_last_line(descriptor)
        yield LabelFile(descriptor, known)
    finally:
        os.close(descriptor)


def read_labels(file: Path) -> Iterator[Label]:
    """In the order in which they were written.

    Raises:
        SetupError: it cannot be read, or is something else.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield _label(line)
                except (ValueError, KeyError, TypeError):
                    if not _begins_like_ours(line):
                        raise SetupError(f"{file} is no file of labels; give another, or a new name.") from None
                    log.warning("%s:%d: this line is torn; passed over", file, number)
    except OSError as error:
        raise SetupError(f"The labels {file} cannot be read: {error.strerror or error}.") from None


def _label(line: bytes) -> Label:
    fields = json.loads(line)
    if not isinstance(fields["labels"], dict):
        raise TypeError
    return Label(str(fields["task"]), str(fields["by"]), str(fields["text"]), fields["labels"])


def _begins_like_ours(line: bytes) -> bool:
    start = line.strip()[: len(_BEGINNING)]
    return _BEGINNING.startswith(start)


def _end_the_last_line(descriptor: int) -> None:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
