"""A log as a file that anybody can check offline: `fastchat-vote-log/1`, UTF-8, a JSON object a line.

    {"format":"fastchat-vote-log/1","log_id":"…","public_key":"…"}
    {"index":0,"leaf":{"arena":"…","battle_id":"…",…,"vote_id":"…"}}
    {"head":{"tree_size":1,"root_hash":"…","signed_at":1.5,"log_id":"…","signature":"…"}}
    {"end":{"leaves":1,"heads":1}}

Leaves stand in order, a head directly behind the last leaf it covers. What stands behind `"leaf":`, but for the last
brace, is byte for byte what was hashed, so other programs can check it without our rules for writing numbers. The
public key in the file tells whose log it claims to be; it proves nothing, so an auditor brings the key along.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fastchat.arena.transparency.encoding import Hash
from fastchat.arena.transparency.findings import Finding, Verdict
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead, UnreadableHead
from fastchat.arena.transparency.leaves import StoredLeaf, VoteLeaf
from fastchat.arena.transparency.receipts import Receipt, in_words
from fastchat.arena.transparency.verify import CLOCK_TOLERANCE_S, Audit, StoredHead, in_order
from fastchat.core.errors import SetupError

_LINE_BYTES = 1 << 20  # a file may come from anybody


class LogHeader(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal["fastchat-vote-log/1"]
    log_id: Hash
    public_key: str


class LogEnd(BaseModel):
    """Tells a file that was cut off on its way from a log whose end was dropped."""

    model_config = ConfigDict(extra="forbid", strict=True)

    leaves: int
    heads: int


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    index: Annotated[int, Field(ge=0)] | None = None
    leaf: VoteLeaf | None = None
    head: SignedTreeHead | None = None
    end: LogEnd | None = None

    def record(self) -> StoredLeaf | SignedTreeHead | LogEnd:
        """
        Raises:
            ValueError: it is not exactly one of the three.
        """
        present = self.model_fields_set
        if present == {"index", "leaf"} and self.index is not None and self.leaf is not None:
            return StoredLeaf(self.index, self.leaf)
        if present == {"head"} and self.head is not None:
            return self.head
        if present == {"end"} and self.end is not None:
            return self.end
        raise ValueError(
            f"it has {', '.join(sorted(present)) or 'nothing'}; a line has index and leaf, or head, or end"
        )


def write_log(file: BinaryIO, key: LogKey, leaves: Iterable[StoredLeaf], heads: Iterable[StoredHead]) -> LogEnd:
    """Leaves by index, heads as they were signed. Writes while it reads.

    Raises:
        SetupError: a stored vote cannot be read; an audit of the store says more.
    """
    header = {"format": "fastchat-vote-log/1", "log_id": key.log_id.hex(), "public_key": key.text}
    file.write(_json_line(header))
    end = LogEnd(leaves=0, heads=0)
    for record in in_order(leaves, heads):
        if isinstance(record, UnreadableHead):
            raise SetupError(
                f"The head of size {record.tree_size} cannot be exported: {record.problem}. See: fastchat arena verify"
            )
        if isinstance(record, SignedTreeHead):
            file.write(_json_line({"head": record.as_json()}))
            end.heads += 1
            continue
        if record.leaf is None:
            raise SetupError(
                f"The vote at index {record.index} cannot be exported: {record.problem}. See: fastchat arena verify"
            )
        file.write(b'{"index":%d,"leaf":%s}\n' % (record.index, record.leaf.content))
        end.leaves += 1
    file.write(_json_line({"end": end.model_dump()}))
    return end


def _json_line(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def verify_file(
    path: Path,
    key: LogKey,
    *,
    receipts: Iterable[Receipt] = (),
    saved_heads: Iterable[SignedTreeHead] = (),
    clock_tolerance_s: float = CLOCK_TOLERANCE_S,
) -> Verdict:
    """Everything that is wrong with an exported log, with line numbers.

    Raises:
        SetupError: the file cannot be read.
    """
    audit = Audit(key, receipts=receipts, saved_heads=saved_heads, clock_tolerance_s=clock_tolerance_s)
    try:
        with path.open("rb") as file:
            if _read_header(file, key, audit):
                _read_records(file, audit)
    except OSError as error:
        raise SetupError(f"The log {path} cannot be read: {error.strerror or error}.") from None
    return audit.finish()


def read_log_key(path: Path) -> LogKey:
    """The key that a file names: good for finding damage, not for trusting who signed.

    Raises:
        SetupError: the file cannot be read or does not begin as a log does.
    """
    try:
        with path.open("rb") as file:
            return LogKey.read(LogHeader.model_validate_json(file.readline(_LINE_BYTES)).public_key)
    except OSError as error:
        raise SetupError(f"The log {path} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        raise SetupError(f"{path}:1 is not the beginning of a vote log: {in_words(error)}.") from None


def read_head(path: Path) -> SignedTreeHead:
    """A head somebody saved, as the arena serves it.

    Raises:
        SetupError: the file cannot be read or is not a signed head.
    """
    try:
        return TypeAdapter(SignedTreeHead).validate_json(path.read_bytes())
    except OSError as error:
        raise SetupError(f"The signed head {path} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        raise SetupError(f"{path} is not a signed head of a vote log: {in_words(error)}.") from None


def _read_header(file: BinaryIO, key: LogKey, audit: Audit) -> bool:
    audit.line = 1
    try:
        header = LogHeader.model_validate_json(file.readline(_LINE_BYTES))
    except ValidationError as error:
        audit.report(Finding.UNREADABLE_LINE, f"line 1 is not the beginning of a vote log: {in_words(error)}")
        return False
    if header.log_id != key.log_id or header.public_key != key.text:
        claimed = f"the log {header.log_id.hex()[:16]} with the key {header.public_key[:44]}"
        message = f"the file says it is of {claimed}, but is checked against {key.text} of {key.log_id.hex()[:16]}"
        audit.report(Finding.FOREIGN_LOG, message)
    return True


def _read_records(file: BinaryIO, audit: Audit) -> None:
    counted = LogEnd(leaves=0, heads=0)
    end = None
    for number, line in enumerate(iter(lambda: file.readline(_LINE_BYTES), b""), 2):
        audit.line = number
        if end is not None:
            audit.report(Finding.UNREADABLE_LINE, f"line {number} stands behind the end")
            return
        if len(line) == _LINE_BYTES:
            audit.report(Finding.UNREADABLE_LINE, f"line {number} is longer than any line of a log")
            return
        try:
            record = _Line.model_validate_json(line).record()
        except ValueError as error:
            why = in_words(error) if isinstance(error, ValidationError) else str(error)
            audit.report(Finding.UNREADABLE_LINE, f"line {number}: {why}")
            continue
        if isinstance(record, LogEnd):
            end = record
            continue
        audit.add(record)
        counted.leaves += isinstance(record, StoredLeaf)
        counted.heads += isinstance(record, SignedTreeHead)
    if end is None:
        audit.report(Finding.CUT_OFF, "the file has no end: it was cut off, or its export was not finished")
    elif end != counted:
        message = (
            f"the end counts {end.leaves} leaves and {end.heads} heads; {counted.leaves} and {counted.heads} are here"
        )
        audit.report(Finding.CUT_OFF, message)
