"""What an audit says: problems, each of a kind a program can count, and the verdict over a whole log."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LISTED = 20  # problems of one kind; one rewritten vote spoils thousands of heads


class Finding(StrEnum):
    UNREADABLE_LEAF = "unreadable_leaf"
    CHANGED_LEAF = "changed_leaf"
    MISSING_LEAF = "missing_leaf"
    MISPLACED_LEAF = "misplaced_leaf"
    DUPLICATE_VOTE = "duplicate_vote"
    SECOND_VOTE = "second_vote"  # on one battle
    BACKDATED_VOTE = "backdated_vote"
    BACKDATED_HEAD = "backdated_head"
    BAD_SIGNATURE = "bad_signature"
    HEAD_MISMATCH = "head_mismatch"
    UNREADABLE_HEAD = "unreadable_head"
    MISPLACED_HEAD = "misplaced_head"
    SHRUNK_LOG = "shrunk_log"
    OTHER_HISTORY = "other_history"  # what was signed for somebody is not what the log says
    BAD_RECEIPT = "bad_receipt"  # proves nothing, against nobody
    NOT_IN_LOG = "not_in_log"  # a good receipt, but another vote or none at its place
    UNSIGNED_LOG = "unsigned_log"  # votes without a head: heads are written with the votes that they cover
    CHANGED_CONTENT = "changed_content"  # beside the log: not the text, voter, reasons or marks of the vote
    DAMAGED_DATABASE = "damaged_database"
    FOREIGN_LOG = "foreign_log"
    UNREADABLE_LINE = "unreadable_line"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True)
class Problem:
    finding: Finding
    message: str
    index: int | None = None
    vote_id: str | None = None
    tree_size: int | None = None
    line: int | None = None  # of an exported file, where it was noticed


@dataclass(frozen=True, slots=True)
class Verdict:
    log_id: bytes
    leaves: int
    heads: int
    signed_size: int  # votes under the largest signed head that fits them
    root_hash: bytes | None  # None where leaves are missing
    saved_heads: int
    receipts: int
    problems: tuple[Problem, ...]  # the first `LISTED` of each kind
    found: Mapping[Finding, int]  # all, counted

    @property
    def is_valid(self) -> bool:
        return not self.found

    @property
    def unsigned_leaves(self) -> int:
        """Votes behind the last head that fits them: nothing proves anything about them."""
        return max(0, self.leaves - self.signed_size)
