"""Voters, conversations and votes as tests need them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fastchat.arena.ballots import content_digest
from fastchat.arena.ids import new_id
from fastchat.arena.records import (
    Answer,
    Battle,
    Conversation,
    Ending,
    Mode,
    Outcome,
    Part,
    Side,
    TextPart,
    Turn,
)
from fastchat.arena.store.store import Ballot, Store, open_store
from fastchat.arena.transparency.heads import Signer

NOW = 1_800_000_000.0
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Store]:
    async with open_store(address, SIGNER, clock=lambda: NOW) as store:
        yield store


def question(*parts: str | Part, number: int = 0, at: float = NOW) -> Turn:
    said = tuple(TextPart(text=part) if isinstance(part, str) else part for part in parts)
    return Turn(new_id(at), number, said, at)


def answered(turn: Turn, left: str, right: str, *, attempt: int = 1) -> Turn:
    answers = tuple(
        Answer(
            message_id=new_id(NOW),
            side=side,
            model=model,
            text=text,
            reasoning=f"thinking about {text}",
            ending=Ending.COMPLETE,
            attempt=attempt,
            started_at=turn.asked_at,
            first_token_s=0.5,
            duration_s=2.0,
            prompt_tokens=3,
            completion_tokens=40,
        )
        for side, model, text in ((Side.LEFT, "alpha", left), (Side.RIGHT, "beta", right))
    )
    return replace(turn, answers=answers)


def battle(voter_id: str, first: Turn, *, arena: str = "default", at: float = NOW, title: str = "") -> Conversation:
    return Conversation(
        conversation_id=new_id(at),
        arena=arena,
        mode=Mode.BATTLE,
        voter_id=voter_id,
        models=("alpha", "beta"),
        created_at=at,
        updated_at=at,
        title=title,
        turns=(first,),
        battle=Battle(new_id(at), "alpha", "beta", 0.25, "weighted", at),
    )


async def begun(store: Store, voter_id: str, text: str = "hello", **described: object) -> Conversation:
    """A battle of which both answers are there."""
    conversation = battle(voter_id, question(text), **described)  # type: ignore[arg-type]
    await store.begin(conversation, "address-hash")
    turn = answered(conversation.turns[0], f"left of {text}", f"right of {text}")
    await store.save_answers(conversation, turn)
    return replace(conversation, turns=(turn,))


def ballot(conversation: Conversation, outcome: Outcome = Outcome.LEFT, *, reasons: tuple[str, ...] = ()) -> Ballot:
    assert conversation.battle is not None
    assert conversation.voter_id is not None
    return Ballot(
        vote_id=new_id(NOW),
        battle_id=conversation.battle.battle_id,
        conversation_id=conversation.conversation_id,
        arena=conversation.arena,
        mode=conversation.mode.value,
        outcome=outcome,
        model_a=conversation.battle.model_a,
        model_b=conversation.battle.model_b,
        probability=conversation.battle.probability,
        cast_at=NOW,
        voter_id=conversation.voter_id,
        address_hash="address-hash",
        content_digest=content_digest(conversation),
        salt=secrets.token_bytes(32),
        reasons=reasons,
    )
