"""The audit: reads all leaves and heads of a log once, in order, and says everything that is wrong with them.

Bad data are findings, never exceptions. Of what was read stays only the tree's edge and a mark for each id, to notice
what is there twice.

What it proves, given the public key: every stored vote is as it was when the head that covers it was signed; none was
changed, dropped, moved or put in between. The operator has the key and can sign a made-up history as well, so against
them this rests on what others kept: with each head somebody saved and each receipt a voter shows the log must agree, or
the two signatures convict them (two histories told, votes dropped from the end, a log begun anew). A vote put in late
with an early time stands behind later ones, which is a finding beyond the tolerance for clocks and commits.

What it cannot prove: that a voter exists, or is one person; that a vote whose voter got no receipt was taken in; that
the models were who they are called, that pairs were drawn with the probability that is stated, or that the clock was
right.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from fastchat.arena.transparency.findings import LISTED, Finding, Problem, Verdict
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead, UnreadableHead
from fastchat.arena.transparency.leaves import StoredLeaf, VoteLeaf
from fastchat.arena.transparency.merkle import Frontier
from fastchat.arena.transparency.receipts import Receipt, verify_receipt
from fastchat.arena.transparency.seen import SeenIds

CLOCK_TOLERANCE_S = 120.0  # clocks are set, and votes wait for their batch

StoredHead: TypeAlias = SignedTreeHead | UnreadableHead


def verify_log(
    leaves: Iterable[StoredLeaf],
    heads: Iterable[StoredHead],
    key: LogKey,
    *,
    receipts: Iterable[Receipt] = (),
    saved_heads: Iterable[SignedTreeHead] = (),
    clock_tolerance_s: float = CLOCK_TOLERANCE_S,
) -> Verdict:
    """Leaves by index and heads in the order they were signed, each read once; the others as people bring them."""
    audit = Audit(key, receipts=receipts, saved_heads=saved_heads, clock_tolerance_s=clock_tolerance_s)
    for record in in_order(leaves, heads):
        audit.add(record)
    return audit.finish()


def in_order(leaves: Iterable[StoredLeaf], heads: Iterable[StoredHead]) -> Iterator[StoredLeaf | StoredHead]:
    """Each head directly behind the last leaf that it covers."""
    waiting = iter(heads)
    head = next(waiting, None)
    for leaf in leaves:
        while head is not None and head.tree_size <= leaf.index:
            yield head
            head = next(waiting, None)
        yield leaf
    if head is not None:
        yield head
    yield from waiting


class _Expectation(NamedTuple):
    """A head with a good signature that the leaves must agree with."""

    head: SignedTreeHead
    saved_as: str | None  # who kept it; None for the log's own


class Audit:
    """Takes leaves and heads in order, then gives the verdict. For sources that can be read only once."""

    def __init__(
        self,
        key: LogKey,
        *,
        receipts: Iterable[Receipt] = (),
        saved_heads: Iterable[SignedTreeHead] = (),
        clock_tolerance_s: float = CLOCK_TOLERANCE_S,
    ) -> None:
        self.line: int | None = None  # a reader of a file keeps it up to date
        self._key = key
        self._tolerance_s = clock_tolerance_s
        self._problems: list[Problem] = []
        self._found: Counter[Finding] = Counter()
        self._size = 0
        self._frontier: Frontier | None = Frontier()  # None behind a gap: no root can be told any more
        self._leaves = self._heads = self._signed_size = 0
        self._last_head_size = 0
        self._is_whole = True
        self._latest = float("-inf")  # time of what was seen last, by the log's own account
        self._votes = SeenIds()
        self._battles = SeenIds()
        self._expected: dict[int, list[_Expectation]] = {}  # heads, by the size that the leaves have yet to reach
        self._receipts: dict[int, list[Receipt]] = {}
        self._saved_heads = self._take_saved(saved_heads)
        self._receipt_count = self._take_receipts(receipts)

    def add(self, record: StoredLeaf | StoredHead) -> None:
        if isinstance(record, StoredLeaf):
            self._add_leaf(record)
        elif isinstance(record, UnreadableHead):
            self._heads += 1
            message = f"the head of size {record.tree_size}: {record.problem}"
            self.report(Finding.UNREADABLE_HEAD, message, tree_size=record.tree_size)
        else:
            self._add_head(record)

    def break_off(self, why: str) -> None:
        """The source cannot be read any further. What it says of the rest stays open."""
        self.report(Finding.DAMAGED_DATABASE, f"only the first {self._size} votes can be read: {why}")
        self._is_whole = False
        self._expected.clear()
        self._receipts.clear()

    def report(
        self,
        finding: Finding,
        message: str,
        *,
        index: int | None = None,
        vote_id: str | None = None,
        tree_size: int | None = None,
    ) -> None:
        self._found[finding] += 1
        if self._found[finding] <= LISTED:
            self._problems.append(Problem(finding, message, index, vote_id, tree_size, self.line))

    def finish(self) -> Verdict:
        self.line = None
        for size in sorted(self._expected):
            for expectation in self._expected.pop(size):
                self._report_shrunk(expectation)
        for index in sorted(self._receipts):
            for receipt in self._receipts.pop(index):
                self._report_not_in_log(receipt, f"the log has nothing there, it ends with {self._size} votes")
        if self._is_whole:
            self._report_unsigned_votes()
        return Verdict(
            log_id=self._key.log_id,
            leaves=self._leaves,
            heads=self._heads,
            signed_size=self._signed_size,
            root_hash=self._frontier.root() if self._frontier else None,
            saved_heads=self._saved_heads,
            receipts=self._receipt_count,
            problems=tuple(self._problems),
            found=dict(self._found),
        )

    def _take_saved(self, heads: Iterable[SignedTreeHead]) -> int:
        count = 0
        for count, head in enumerate(heads, 1):
            if self._key.has_signed(head):
                self._expect(_Expectation(head, f"the saved head {count}"))
            else:
                self._report_unsigned(head, f"the saved head {count}")
        return count

    def _take_receipts(self, receipts: Iterable[Receipt]) -> int:
        count = 0
        for receipt in receipts:
            count += 1
            verdict = verify_receipt(receipt, self._key)
            vote_id = receipt.leaf.vote_id
            if verdict.is_valid:
                self._receipts.setdefault(receipt.index, []).append(receipt)
                self._expect(_Expectation(receipt.head, f"the receipt of vote {vote_id}"))
            else:
                message = f"the receipt of vote {vote_id} proves nothing: {'; '.join(verdict.problems)}"
                self.report(Finding.BAD_RECEIPT, message, index=receipt.index, vote_id=vote_id)
        return count

    def _add_leaf(self, stored: StoredLeaf) -> None:
        vote_id = stored.leaf.vote_id if stored.leaf else None
        if stored.index < self._size:
            message = f"a leaf of index {stored.index} comes where {self._size} belongs; it was left out"
            self.report(Finding.MISPLACED_LEAF, message, index=stored.index, vote_id=vote_id)
            return
        if stored.index > self._size:
            self._report_gap(stored.index)
        self._leaves += 1
        self._size = stored.index + 1
        leaf_hash = self._leaf_hash(stored)
        if leaf_hash is None:
            self._frontier = None
        elif self._frontier is not None:
            self._frontier.append(leaf_hash)
        if stored.leaf is not None:
            self._check_vote(stored.index, stored.leaf)
        self._check_receipts(stored)
        for expectation in self._expected.pop(self._size, ()):
            self._compare(expectation)

    def _report_gap(self, index: int) -> None:
        first, last = self._size, index - 1
        missing = f"the leaf {first} is missing" if first == last else f"the leaves {first} to {last} are missing"
        message = f"{missing}; no head from size {first + 1} on can be checked"
        self.report(Finding.MISSING_LEAF, message, index=first)
        self._frontier = None
        for size in [size for size in self._expected if size <= index]:
            del self._expected[size]
        for at in [at for at in self._receipts if at < index]:
            for receipt in self._receipts.pop(at):
                self._report_not_in_log(receipt, "that leaf is missing")

    def _leaf_hash(self, stored: StoredLeaf) -> bytes | None:
        """Of a changed leaf the stored hash, so that the heads still tell whether the rest is right."""
        if stored.leaf is None:
            self.report(Finding.UNREADABLE_LEAF, f"leaf {stored.index}: {stored.problem}", index=stored.index)
            return stored.leaf_hash
        leaf_hash = stored.leaf.leaf_hash
        if stored.leaf_hash is None or stored.leaf_hash == leaf_hash:
            return leaf_hash
        vote_id = stored.leaf.vote_id
        message = f"vote {vote_id} at index {stored.index} is not what was hashed when it was cast"
        self.report(Finding.CHANGED_LEAF, message, index=stored.index, vote_id=vote_id)
        return stored.leaf_hash

    def _check_vote(self, index: int, leaf: VoteLeaf) -> None:
        vote_id = leaf.vote_id
        if not self._votes.add(vote_id):
            message = f"vote {vote_id} is in the log a second time, at index {index}"
            self.report(Finding.DUPLICATE_VOTE, message, index=index, vote_id=vote_id)
        elif not self._battles.add(leaf.battle_id):
            message = f"vote {vote_id} at index {index} is not the first on battle {leaf.battle_id}"
            self.report(Finding.SECOND_VOTE, message, index=index, vote_id=vote_id)
        if leaf.cast_at < self._latest - self._tolerance_s:
            message = (
                f"vote {vote_id} at index {index} says it was cast at {_time(leaf.cast_at)}, but stands behind what "
                f"happened at {_time(self._latest)}"
            )
            self.report(Finding.BACKDATED_VOTE, message, index=index, vote_id=vote_id)
        self._latest = max(self._latest, leaf.cast_at)

    def _check_receipts(self, stored: StoredLeaf) -> None:
        for receipt in self._receipts.pop(stored.index, ()):
            if receipt.leaf != stored.leaf:
                self._report_not_in_log(receipt, _difference(receipt.leaf, stored.leaf))

    def _report_not_in_log(self, receipt: Receipt, instead: str) -> None:
        vote_id = receipt.leaf.vote_id
        message = f"a good receipt shows vote {vote_id} at index {receipt.index}, but {instead}"
        self.report(Finding.NOT_IN_LOG, message, index=receipt.index, vote_id=vote_id)

    def _add_head(self, head: SignedTreeHead) -> None:
        self._heads += 1
        if not self._key.has_signed(head):
            self._report_unsigned(head, "the stored head")
        elif head.tree_size < self._last_head_size:
            message = f"a head of size {head.tree_size} follows one of size {self._last_head_size}: the log had shrunk"
            self.report(Finding.SHRUNK_LOG, message, tree_size=head.tree_size)
        elif head.tree_size < self._size:
            message = f"the head of size {head.tree_size} comes behind leaf {self._size - 1} and cannot be checked"
            self.report(Finding.MISPLACED_HEAD, message, tree_size=head.tree_size)
        else:
            self._last_head_size = head.tree_size
            self._expect(_Expectation(head, None))

    def _expect(self, expectation: _Expectation) -> None:
        if expectation.head.tree_size == self._size:
            self._compare(expectation)
        else:
            self._expected.setdefault(expectation.head.tree_size, []).append(expectation)

    def _compare(self, expectation: _Expectation) -> None:
        head, saved_as = expectation
        if saved_as is None:
            self._check_time(head)
        if self._frontier is None:
            return
        root = self._frontier.root()
        if root == head.root_hash:
            self._signed_size = head.tree_size
        else:
            self._report_mismatch(expectation, root)

    def _check_time(self, head: SignedTreeHead) -> None:
        if head.signed_at < self._latest - self._tolerance_s:
            message = (
                f"the head of size {head.tree_size} says it was signed at {_time(head.signed_at)}, but covers what "
                f"happened at {_time(self._latest)}"
            )
            self.report(Finding.BACKDATED_HEAD, message, tree_size=head.tree_size)
        self._latest = head.signed_at

    def _report_mismatch(self, expectation: _Expectation, root: bytes) -> None:
        head, saved_as = expectation
        size = head.tree_size
        roots = f"has the root {head.root_hash.hex()[:16]}, but the votes stored here give {root.hex()[:16]}"
        where = f"the first {self._signed_size} are as signed" if self._signed_size else "none are proven"
        if saved_as is None:
            self.report(Finding.HEAD_MISMATCH, f"the head of size {size} {roots}; {where}", tree_size=size)
        else:
            message = f"{saved_as}, of size {size} and signed by this log, {roots}: two histories were told; {where}"
            self.report(Finding.OTHER_HISTORY, message, tree_size=size)

    def _report_unsigned(self, head: SignedTreeHead, name: str) -> None:
        why = "its signature is wrong" if head.log_id == self._key.log_id else "it names another log"
        message = f"{name} of size {head.tree_size} is not signed by this log: {why}"
        self.report(Finding.BAD_SIGNATURE, message, tree_size=head.tree_size)

    def _report_unsigned_votes(self) -> None:
        if self._leaves and not self._signed_size:
            self.report(Finding.UNSIGNED_LOG, f"none of the {self._leaves} votes is under a signed head that fits them")
        elif self._frontier and self._last_head_size < self._size:
            first = self._last_head_size
            message = f"from vote {first} on no signed head covers the votes: heads were dropped, or votes put in"
            self.report(Finding.UNSIGNED_LOG, message, index=first)

    def _report_shrunk(self, expectation: _Expectation) -> None:
        head = expectation.head
        name = expectation.saved_as or "a stored head"
        message = (
            f"{name} was signed over {head.tree_size} votes at {_time(head.signed_at)}, but the log ends with "
            f"{self._size}: {head.tree_size - self._size} were dropped"
        )
        self.report(Finding.SHRUNK_LOG, message, tree_size=head.tree_size)


def _difference(signed: VoteLeaf, stored: VoteLeaf | None) -> str:
    if stored is None:
        return "that leaf is unreadable"
    if stored.vote_id != signed.vote_id:
        return f"the log has vote {stored.vote_id} there"
    changes = [
        f"{name} was {getattr(signed, name)!r} and is {getattr(stored, name)!r}"
        for name in VoteLeaf.__slots__
        if getattr(signed, name) != getattr(stored, name)
    ]
    return f"in the log {', '.join(changes)}"


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return repr(seconds)
