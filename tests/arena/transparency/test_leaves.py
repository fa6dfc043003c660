"""What is hashed of a vote, byte for byte, and that the digest hides what it binds."""

import hashlib
import json
import os
from dataclasses import FrozenInstanceError, asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fastchat.arena.transparency.encoding import canonical_json
from fastchat.arena.transparency.leaves import (
    Erasable,
    StoredLeaf,
    VoteLeaf,
    conversation_hash,
    is_about,
    salted_digest,
)
from tests.arena.transparency.example import leaf

SALT = bytes(range(32))
ERASABLE = Erasable("anna", "9f", conversation_hash([{"role": "user", "text": "hi"}]), ("clearer",))


def test_the_hashed_bytes_never_change() -> None:
    assert (
        leaf(1).content
        == (
            '{"arena":"main","battle_id":"battle-1","cast_at":1790000010.25,'
            f'"digest":"{"0" * 63}1","mode":"battle","model_a":"zürich-7b","model_b":"smol","outcome":"rightvote",'
            '"probability":0.25,"version":1,"vote_id":"vote-1"}'
        ).encode()
    )
    assert leaf(1).leaf_hash == hashlib.sha256(b"\x00" + leaf(1).content).digest()


@settings(deadline=None)
@given(probability=st.floats(0, 1, exclude_min=True), cast_at=st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_as_they_were(probability: float, cast_at: float) -> None:
    vote = replace(leaf(0), probability=probability, cast_at=cast_at)
    again = TypeAdapter(VoteLeaf).validate_json(vote.content)
    assert again == vote
    assert again.content == vote.content


def test_whole_numbers_from_a_database_are_the_same_vote() -> None:
    whole, decimal = replace(leaf(0), probability=1, cast_at=5), replace(leaf(0), probability=1.0, cast_at=5.0)
    assert whole.content == decimal.content
    assert b'"cast_at":5.0' in whole.content


@pytest.mark.parametrize("name", [name for name in VoteLeaf.__slots__ if name != "version"])
def test_every_field_is_hashed(name: str) -> None:
    others = {"probability": 0.125, "cast_at": 7.0, "digest": "f" * 64}
    assert replace(leaf(0), **{name: others.get(name, "another")}).leaf_hash != leaf(0).leaf_hash


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("vote_id", "", "vote_id"),
        ("model_b", None, "model_b"),
        ("model_a", "\ud800", "UTF-8"),
        ("probability", 0.0, "above 0"),
        ("probability", 1.5, "at most 1"),
        ("probability", float("nan"), "above 0"),
        ("cast_at", float("inf"), "time"),
        ("digest", "F" * 64, "lower-case"),
        ("digest", "f" * 63, "64"),
        ("version", 2, "knows 1"),
    ],
)
def test_impossible_votes_cannot_be_built(name: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(leaf(0), **{name: value})


def test_a_leaf_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        leaf(0).outcome = "tievote"  # type: ignore[misc]


def test_a_field_that_no_hash_covers_is_refused() -> None:
    given = json.loads(leaf(0).content) | {"corrected_outcome": "tievote"}
    with pytest.raises(ValidationError, match="corrected_outcome"):
        TypeAdapter(VoteLeaf).validate_json(json.dumps(given))


@pytest.mark.parametrize(
    "change", [{"probability": "a lot"}, {"cast_at": None}, {"cast_at": 10**400}, {"model_a": 7}, {"digest": b"00"}]
)
def test_a_row_that_is_no_vote_is_kept_as_a_problem(change: dict[str, object]) -> None:
    stored = StoredLeaf.read(4, asdict(leaf(4)) | change, b"h" * 32)
    assert (stored.index, stored.leaf, stored.leaf_hash) == (4, None, b"h" * 32)
    assert stored.problem


def test_a_row_may_have_more_columns_but_not_fewer() -> None:
    row = asdict(leaf(4))
    assert StoredLeaf.read(4, row | {"tree_index": 4}).leaf == leaf(4)
    del row["outcome"]
    assert "outcome" in StoredLeaf.read(4, row).problem


def test_canonical_json_does_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": {"d": 0.1, "c": "ü"}}) == '{"a":{"c":"ü","d":0.1},"b":1}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": float("nan")})


def test_the_digest_binds_voter_address_conversation_and_reasons() -> None:
    vote = replace(leaf(0), digest=salted_digest(SALT, ERASABLE))
    assert is_about(vote, SALT, ERASABLE)
    for other in (
        replace(ERASABLE, voter="bert"),
        replace(ERASABLE, voter=None),
        replace(ERASABLE, address_hash="a0"),
        replace(ERASABLE, conversation_hash=conversation_hash([{"role": "user", "text": "ho"}])),
        replace(ERASABLE, reasons=()),
    ):
        assert not is_about(vote, SALT, other)


def test_without_its_salt_even_a_known_text_cannot_be_recognised() -> None:
    vote = replace(leaf(0), digest=salted_digest(os.urandom(32), ERASABLE))
    assert not is_about(vote, bytes(32), ERASABLE)
    assert vote.digest != hashlib.sha256(canonical_json(asdict(ERASABLE))).hexdigest()


@pytest.mark.parametrize("salt", [b"", b"short", bytes(31), bytes(33)])
def test_a_salt_that_could_be_guessed_is_refused(salt: bytes) -> None:
    with pytest.raises(ValueError, match="32 random"):
        salted_digest(salt, ERASABLE)


def test_any_text_a_browser_can_send_is_hashed() -> None:
    assert conversation_hash([{"text": "\ud800"}]) != conversation_hash([{"text": "\udfff"}])
