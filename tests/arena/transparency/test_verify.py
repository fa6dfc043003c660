"""What an operator, or a disk, can do to a log, and how the audit names it."""

import os
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.transparency.findings import LISTED, Finding, Verdict
from fastchat.arena.transparency.heads import UnreadableHead
from fastchat.arena.transparency.leaves import Erasable, StoredLeaf, VoteLeaf, salted_digest
from fastchat.arena.transparency.merkle import EMPTY_ROOT
from fastchat.arena.transparency.receipts import Receipt
from fastchat.arena.transparency.verify import Audit, in_order, verify_log
from tests.arena.transparency.example import START, ExampleLog, leaf, signer, with_outcome


def audit(log: ExampleLog, **kept: object) -> Verdict:
    return verify_log(log.leaves, log.heads, log.key, **kept)  # type: ignore[arg-type]


def kinds(verdict: Verdict) -> set[Finding]:
    assert verdict.is_valid == (not verdict.problems)
    assert {problem.finding for problem in verdict.problems} == set(verdict.found)
    return set(verdict.found)


def without_hashes(log: ExampleLog) -> None:
    log.leaves = [replace(stored, leaf_hash=None) for stored in log.leaves]


def rewritten(log: ExampleLog, number: int = 2) -> ExampleLog:
    """The operator changes one vote and signs everything again with the true key."""
    return ExampleLog(vote=lambda at: replace(leaf(at), outcome="bothbad_vote") if at == number else leaf(at))


def test_an_honest_log_has_nothing_wrong() -> None:
    log = ExampleLog()
    receipts = [log.receipt(index, head) for head in log.heads for index in range(head.tree_size)]
    verdict = audit(log, receipts=receipts, saved_heads=log.heads)
    assert verdict.is_valid
    assert (verdict.leaves, verdict.heads, verdict.signed_size) == (10, 4, 10)
    assert (verdict.receipts, verdict.saved_heads, verdict.unsigned_leaves) == (len(receipts), 4, 0)
    assert verdict.root_hash == log.tree.root()
    assert verdict.log_id == log.key.log_id


@settings(deadline=None)
@given(batches=st.lists(st.integers(0, 9), min_size=1, max_size=12), has_hashes=st.booleans())
def test_honest_logs_of_any_batches_are_valid(batches: list[int], has_hashes: bool) -> None:
    log = ExampleLog(batches)
    if not has_hashes:
        without_hashes(log)
    verdict = audit(log, saved_heads=log.heads)
    assert verdict.is_valid, verdict.problems
    assert verdict.signed_size == sum(batches)


def test_an_empty_log_is_valid() -> None:
    log = ExampleLog(())
    assert audit(log).is_valid
    assert audit(log, saved_heads=[log.signer.sign(0, EMPTY_ROOT, START)]).is_valid


def test_votes_that_no_head_covers_are_found() -> None:
    """Heads are written with their votes: somebody without the key put votes in, or dropped the newest head."""
    log = ExampleLog()
    dropped = log.heads.pop()
    verdict = audit(log)
    assert kinds(verdict) == {Finding.UNSIGNED_LOG}
    assert verdict.problems[0].index == 8
    assert (verdict.signed_size, verdict.unsigned_leaves) == (8, 2)
    assert kinds(audit(log, saved_heads=[dropped])) == {Finding.UNSIGNED_LOG}


def test_a_head_that_cannot_be_read_is_named_and_the_rest_is_still_proven() -> None:
    log = ExampleLog()
    heads = [log.heads[0], UnreadableHead(4, "log_id is 'xyz'; it is hexadecimal"), *log.heads[2:]]
    verdict = verify_log(log.leaves, heads, log.key)
    assert kinds(verdict) == {Finding.UNREADABLE_HEAD}
    assert (verdict.problems[0].tree_size, verdict.signed_size) == (4, 10)


def test_of_a_source_that_breaks_off_nothing_more_is_said() -> None:
    log = ExampleLog()
    broken = Audit(log.key, receipts=[log.receipt(9)], saved_heads=log.heads)
    for record in in_order(log.leaves[:6], log.heads[:2]):
        broken.add(record)
    broken.break_off("the page is damaged")
    verdict = broken.finish()
    assert kinds(verdict) == {Finding.DAMAGED_DATABASE}
    assert "only the first 6 votes can be read: the page is damaged" in verdict.problems[0].message


def test_erasing_salt_and_text_leaves_the_proof_whole() -> None:
    people = [Erasable(f"voter {number}", None, "0" * 64) for number in range(10)]
    log = ExampleLog(vote=lambda at: replace(leaf(at), digest=salted_digest(os.urandom(32), people[at])))
    people.clear()  # the audit is given nothing of it, and misses nothing
    assert audit(log, receipts=[log.receipt(5)]).is_valid


def test_a_changed_vote_is_named_and_the_rest_is_still_proven() -> None:
    log = ExampleLog()
    with_outcome("bothbad_vote", 5)(log.leaves)
    verdict = audit(log)
    assert kinds(verdict) == {Finding.CHANGED_LEAF}
    assert (verdict.problems[0].index, verdict.problems[0].vote_id) == (5, "vote-5")
    assert verdict.signed_size == 10


def test_a_changed_vote_whose_hash_was_changed_too_breaks_every_head_after_it() -> None:
    log = ExampleLog()
    with_outcome("bothbad_vote", 5, hash_too=True)(log.leaves)
    verdict = audit(log)
    assert verdict.found == {Finding.HEAD_MISMATCH: 2}
    assert [problem.tree_size for problem in verdict.problems] == [8, 10]
    assert all("the first 4 are as signed" in problem.message for problem in verdict.problems)
    assert (verdict.signed_size, verdict.unsigned_leaves) == (4, 6)


@settings(deadline=None)
@given(index=st.integers(0, 9), name=st.sampled_from(VoteLeaf.__slots__[:-1]))
def test_no_field_of_any_vote_can_be_changed(index: int, name: str) -> None:
    others = {"probability": 0.001, "cast_at": leaf(index).cast_at + 0.5, "digest": "e" * 64}
    log = ExampleLog()
    log.leaves[index] = StoredLeaf(index, replace(leaf(index), **{name: others.get(name, "other")}))
    assert Finding.HEAD_MISMATCH in kinds(audit(log))


def test_votes_that_changed_places_break_the_head() -> None:
    log = ExampleLog()
    for index, other in ((5, 6), (6, 5)):
        log.leaves[index] = StoredLeaf(index, leaf(other), leaf(other).leaf_hash)
    assert Finding.HEAD_MISMATCH in kinds(audit(log))


def test_a_missing_vote_is_named() -> None:
    log = ExampleLog()
    del log.leaves[5:7]
    verdict = audit(log, receipts=[ExampleLog().receipt(6), ExampleLog().receipt(7)])
    assert kinds(verdict) == {Finding.MISSING_LEAF, Finding.NOT_IN_LOG}
    assert verdict.problems[0].message.startswith("the leaves 5 to 6 are missing")
    assert verdict.problems[1].vote_id == "vote-6"
    assert verdict.root_hash is None
    assert verdict.signed_size == 4


def test_a_missing_vote_behind_which_the_rest_moved_up_breaks_the_head() -> None:
    log = ExampleLog()
    del log.leaves[5]
    log.leaves = [replace(stored, index=index) for index, stored in enumerate(log.leaves)]
    assert kinds(audit(log)) == {Finding.HEAD_MISMATCH, Finding.SHRUNK_LOG}


def test_a_huge_gap_costs_nothing() -> None:
    log = ExampleLog()
    log.leaves[9] = replace(log.leaves[9], index=10**15)
    assert kinds(audit(log)) == {Finding.MISSING_LEAF}


def test_a_vote_that_is_there_twice_is_named() -> None:
    log = ExampleLog()
    log.leaves.insert(6, log.leaves[5])
    verdict = audit(log)
    assert kinds(verdict) == {Finding.MISPLACED_LEAF}
    assert verdict.problems[0].index == 5


def test_a_vote_that_was_logged_and_signed_twice_is_named() -> None:
    log = ExampleLog(vote=lambda at: replace(leaf(at), vote_id="vote-2") if at == 7 else leaf(at))
    verdict = audit(log)
    assert kinds(verdict) == {Finding.DUPLICATE_VOTE}
    assert (verdict.problems[0].index, verdict.problems[0].vote_id) == (7, "vote-2")


def test_a_second_vote_on_a_battle_is_named() -> None:
    log = ExampleLog(vote=lambda at: replace(leaf(at), battle_id="battle-2") if at == 7 else leaf(at))
    assert kinds(audit(log)) == {Finding.SECOND_VOTE}


def test_a_vote_put_in_later_with_an_old_time_is_named() -> None:
    log = ExampleLog(vote=lambda at: replace(leaf(at), cast_at=START - 1000) if at == 7 else leaf(at))
    verdict = audit(log)
    assert kinds(verdict) == {Finding.BACKDATED_VOTE}
    assert verdict.problems[0].index == 7
    assert "2026-09-21" in verdict.problems[0].message


def test_the_head_before_it_bounds_the_time_of_a_vote() -> None:
    log = ExampleLog((5, 1))
    late = log.signer.sign(5, log.tree.root(5), START + 5000)
    log.heads = [late, log.signer.sign(6, log.tree.root(), START + 5001)]
    verdict = audit(log)
    assert kinds(verdict) == {Finding.BACKDATED_VOTE}
    assert verdict.problems[0].index == 5


def test_votes_that_waited_for_their_batch_are_not_accused() -> None:
    log = ExampleLog(vote=lambda at: replace(leaf(at), cast_at=START + 10 * at - 50 * (at % 2)))
    assert audit(log).is_valid
    assert kinds(audit(log, clock_tolerance_s=5)) == {Finding.BACKDATED_VOTE}


def test_a_vote_from_the_future_shows_at_its_head_and_does_not_spoil_the_rest() -> None:
    log = ExampleLog(vote=lambda at: replace(leaf(at), cast_at=START + 10**6) if at == 3 else leaf(at))
    verdict = audit(log)
    assert verdict.found == {Finding.BACKDATED_HEAD: 1}
    assert verdict.problems[0].tree_size == 4


def test_dropped_votes_show_by_the_stored_heads() -> None:
    log = ExampleLog()
    del log.leaves[8:]
    verdict = audit(log)
    assert kinds(verdict) == {Finding.SHRUNK_LOG}
    assert "2 were dropped" in verdict.problems[0].message


def test_votes_dropped_with_their_heads_show_by_what_others_kept() -> None:
    log, whole = ExampleLog(), ExampleLog()
    del log.leaves[8:]
    del log.heads[-1]
    assert audit(log).is_valid  # nothing in the log itself can show it
    by_head = audit(log, saved_heads=[whole.heads[-1]])
    assert kinds(by_head) == {Finding.SHRUNK_LOG}
    by_receipt = audit(log, receipts=[whole.receipt(9)])
    assert kinds(by_receipt) == {Finding.SHRUNK_LOG, Finding.NOT_IN_LOG}
    assert by_receipt.problems[-1].vote_id == "vote-9"


def test_a_history_signed_anew_shows_by_what_others_kept() -> None:
    before = ExampleLog()
    after = rewritten(before)
    assert audit(after).is_valid  # the true key signed it
    by_head = audit(after, saved_heads=[before.heads[0], before.heads[1]])
    assert kinds(by_head) == {Finding.OTHER_HISTORY}
    assert [problem.tree_size for problem in by_head.problems] == [4]
    assert "the first 1 are as signed" in by_head.problems[0].message

    by_receipt = audit(after, receipts=[before.receipt(2)])
    assert kinds(by_receipt) == {Finding.OTHER_HISTORY, Finding.NOT_IN_LOG}
    shown = next(problem for problem in by_receipt.problems if problem.finding is Finding.NOT_IN_LOG)
    assert "outcome was 'tievote' and is 'bothbad_vote'" in shown.message


def test_two_histories_show_to_whoever_was_told_the_other() -> None:
    told_anna, told_bert = ExampleLog(), rewritten(ExampleLog(), 9)
    for log, other in ((told_anna, told_bert), (told_bert, told_anna)):
        assert audit(log, saved_heads=log.heads, receipts=[log.receipt(9)]).is_valid
        assert Finding.OTHER_HISTORY in kinds(audit(log, receipts=[other.receipt(0)]))


def test_a_receipt_at_another_place_is_named() -> None:
    before = ExampleLog()
    after = ExampleLog(vote=lambda at: leaf({5: 6, 6: 5}.get(at, at)))
    verdict = audit(after, receipts=[before.receipt(5)])
    shown = next(problem for problem in verdict.problems if problem.finding is Finding.NOT_IN_LOG)
    assert "the log has vote vote-6 there" in shown.message


def test_forged_receipts_and_heads_accuse_nobody() -> None:
    log, stranger = ExampleLog(), ExampleLog(seed=2)
    bent = log.receipt(3).model_copy(update={"leaf": replace(leaf(3), outcome="tievote")})
    verdict = audit(log, receipts=[bent, stranger.receipt(3)], saved_heads=[stranger.heads[0]])
    assert verdict.found == {Finding.BAD_RECEIPT: 2, Finding.BAD_SIGNATURE: 1}
    assert "names another log" in next(p for p in verdict.problems if p.finding is Finding.BAD_SIGNATURE).message


def test_a_head_with_a_wrong_signature_is_named() -> None:
    log = ExampleLog()
    log.heads[1] = replace(log.heads[1], signature=bytes(64))
    verdict = audit(log)
    assert kinds(verdict) == {Finding.BAD_SIGNATURE}
    assert verdict.problems[0].tree_size == 4


def test_a_log_that_shrank_and_grew_again_is_named() -> None:
    log = ExampleLog()
    log.heads.insert(3, log.heads[1])
    verdict = audit(log)
    assert kinds(verdict) == {Finding.SHRUNK_LOG}
    assert "size 4 follows one of size 8" in verdict.problems[0].message


def test_two_heads_of_one_size_cannot_both_be_right() -> None:
    log = ExampleLog()
    log.heads.insert(2, log.signer.sign(4, bytes(32), START + 32))
    verdict = audit(log)
    assert kinds(verdict) == {Finding.HEAD_MISMATCH}
    assert verdict.problems[0].tree_size == 4


def test_signing_a_size_again_is_no_fault() -> None:
    log = ExampleLog()
    log.heads.insert(2, log.signer.sign(4, log.tree.root(4), START + 35))
    assert audit(log).is_valid


def test_a_log_without_any_head_proves_nothing() -> None:
    log = ExampleLog()
    log.heads.clear()
    assert kinds(audit(log)) == {Finding.UNSIGNED_LOG}
    assert audit(log, saved_heads=[ExampleLog().heads[-1]]).signed_size == 10


@pytest.mark.parametrize("has_hash", [True, False])
def test_a_row_that_is_no_vote_is_a_finding(has_hash: bool) -> None:
    log = ExampleLog()
    row = asdict(leaf(5)) | {"probability": -1.0}
    log.leaves[5] = StoredLeaf.read(5, row, leaf(5).leaf_hash if has_hash else None)
    verdict = audit(log, receipts=[ExampleLog().receipt(5)])
    assert kinds(verdict) == {Finding.UNREADABLE_LEAF, Finding.NOT_IN_LOG}
    assert "probability is -1.0" in verdict.problems[0].message
    assert verdict.signed_size == (10 if has_hash else 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: replace(head, signed_at=float("nan")),
        lambda head: replace(head, tree_size=-1),
        lambda head: replace(head, root_hash=b""),
        lambda head: replace(head, signature=b"\0"),
    ],
)
def test_impossible_heads_are_findings(spoil: Callable[..., object]) -> None:
    log = ExampleLog()
    log.heads[2] = spoil(log.heads[2])  # type: ignore[call-overload]
    assert kinds(audit(log)) == {Finding.BAD_SIGNATURE}


def test_the_list_is_short_and_the_count_is_whole() -> None:
    log = ExampleLog([1] * 51)
    with_outcome("bothbad_vote", 1, hash_too=True)(log.leaves)
    verdict = audit(log)
    assert verdict.found == {Finding.HEAD_MISMATCH: 50}
    assert len(verdict.problems) == LISTED


def test_heads_behind_the_leaves_they_cover() -> None:
    log = ExampleLog((2, 0, 1))
    order = [type(record).__name__[0] for record in in_order(log.leaves, log.heads)]
    assert "".join(order) == "SSSSSS"
    assert [getattr(record, "tree_size", None) for record in in_order(log.leaves, log.heads)] == [
        None,
        None,
        2,
        2,
        None,
        3,
    ]


def test_a_head_that_comes_too_late_is_named() -> None:
    log = ExampleLog()
    reader = Audit(log.key)
    for record in [*log.leaves, *log.heads]:
        reader.add(record)
    assert reader.finish().found == {Finding.MISPLACED_HEAD: 3}


def test_leaves_and_heads_are_read_once_and_one_by_one() -> None:
    log = ExampleLog([5] * 20)
    ahead = []

    def leaves() -> object:
        for stored in log.leaves:
            ahead.append(stored.index)
            yield stored

    def heads() -> object:
        for head in log.heads:
            yield head
            assert len(ahead) <= head.tree_size + 1

    assert verify_log(leaves(), heads(), log.key).is_valid  # type: ignore[arg-type]


def test_the_wrong_key_fits_no_head() -> None:
    log = ExampleLog()
    verdict = verify_log(log.leaves, log.heads, signer(2).public)
    assert verdict.found == {Finding.BAD_SIGNATURE: 4, Finding.UNSIGNED_LOG: 1}


def test_a_receipt_the_operator_issued_over_a_root_of_nothing_is_found() -> None:
    log = ExampleLog()
    lone = leaf(99)
    head = log.signer.sign(1, lone.leaf_hash, START + 1)
    receipt = Receipt(leaf=lone, index=0, path=(), head=head)
    assert kinds(audit(log, receipts=[receipt])) == {Finding.OTHER_HISTORY, Finding.NOT_IN_LOG}
