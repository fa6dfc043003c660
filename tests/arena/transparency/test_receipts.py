"""What voters and watchers keep can be checked years later, and nothing in it can be bent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fastchat.arena.transparency.receipts import (
    ConsistencyProof,
    Receipt,
    read_receipt,
    verify_continuation,
    verify_receipt,
)
from fastchat.core.errors import SetupError
from tests.arena.transparency.example import ExampleLog, signer

LOG = ExampleLog()  # only read


@settings(deadline=None)
@given(index=st.integers(0, 9), data=st.data())
def test_every_voter_can_check_their_receipt_from_a_file(index: int, data: st.DataObject) -> None:
    head = data.draw(st.sampled_from([head for head in LOG.heads if head.tree_size > index]))
    receipt = Receipt.model_validate_json(LOG.receipt(index, head).model_dump_json())
    assert receipt == LOG.receipt(index, head)
    assert verify_receipt(receipt, LOG.key).is_valid


@pytest.mark.parametrize(
    "change",
    [
        {"leaf": replace(LOG.receipt(3).leaf, outcome="tievote")},
        {"leaf": LOG.receipt(4).leaf},
        {"index": 4},
        {"index": 10**30},
        {"path": LOG.receipt(4).path},
        {"path": LOG.receipt(3).path[:-1]},
        {"head": LOG.heads[-2]},
        {"head": replace(LOG.heads[-1], tree_size=11)},
        {"head": replace(LOG.heads[-1], signed_at=0.0)},
    ],
    ids=str,
)
def test_a_receipt_that_was_bent_says_so(change: dict[str, object]) -> None:
    verdict = verify_receipt(LOG.receipt(3).model_copy(update=change), LOG.key)
    assert not verdict.is_valid
    assert verdict.problems


def test_a_receipt_of_another_log_is_worth_nothing() -> None:
    assert not verify_receipt(LOG.receipt(3), signer(2).public).is_valid


def test_a_receipt_for_a_vote_behind_the_head_cannot_be_made() -> None:
    with pytest.raises(Exception, match="no vote 9"):
        LOG.receipt(9, LOG.heads[0])


@settings(deadline=None)
@given(old=st.integers(0, 3), new=st.integers(0, 3))
def test_heads_continue_each_other_forwards_only(old: int, new: int) -> None:
    old, new = sorted((old, new))
    proof = ConsistencyProof.issue(LOG.heads[old], LOG.heads[new], LOG.tree)
    again = ConsistencyProof.model_validate_json(proof.model_dump_json())
    assert verify_continuation(again, LOG.key).is_valid
    if old != new:
        backwards = proof.model_copy(update={"old": proof.new, "new": proof.old})
        assert "shrank" in verify_continuation(backwards, LOG.key).problems[0]


def test_a_rewritten_log_does_not_continue_the_old_one() -> None:
    other = ExampleLog(vote=lambda number: replace(LOG.receipt(number).leaf, outcome="tievote"))
    proof = ConsistencyProof.issue(LOG.heads[1], other.heads[3], other.tree)
    verdict = verify_continuation(proof, LOG.key)
    assert verdict.problems == ("the head of size 10 does not continue the head of size 4",)


def test_a_forged_head_continues_nothing() -> None:
    proof = ConsistencyProof.issue(LOG.heads[1], LOG.heads[3], LOG.tree)
    for name in ("old", "new"):
        forged = proof.model_copy(update={name: replace(getattr(proof, name), signature=bytes(64))})
        assert "not signed" in verify_continuation(forged, LOG.key).problems[0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"path": ["00"] * 2}, "path"),
        ({"path": ["00" * 32] * 65}, "path"),
        ({"index": -1}, "index"),
        ({"format": "fastchat-vote-receipt/9"}, "format"),
        ({"note": 1}, "note"),
    ],
)
def test_a_file_that_is_no_receipt_is_refused_by_the_field(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(json.loads(LOG.receipt(3).model_dump_json()) | change))
    with pytest.raises(SetupError, match=named):
        read_receipt(file)


def test_receipts_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(LOG.receipt(3).model_dump_json(indent=2))
    assert read_receipt(file) == LOG.receipt(3)
    file.write_text(json.dumps({"conversation": {}, "receipt": json.loads(file.read_text())}))
    assert read_receipt(file) == LOG.receipt(3)  # within the answer to the vote, as people save it
    with pytest.raises(SetupError, match=r"none\.json"):
        read_receipt(tmp_path / "none.json")
    file.write_text("{")
    with pytest.raises(SetupError, match="is not a receipt"):
        read_receipt(file)


def test_a_receipt_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        LOG.receipt(3).index = 4  # type: ignore[misc]
