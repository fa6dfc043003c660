"""Programs that vote by a stated rule, over real HTTP."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from fastchat.arena.config import ArenaConfig, Integrity
from fastchat.arena.records import Outcome
from fastchat.arena.simulation.rules import Rule, parse_rule
from fastchat.arena.simulation.voters import Simulation, simulate
from fastchat.core.errors import SetupError
from tests.arena.service.http import serving
from tests.arena.service.stage import LEFT_NAME, RIGHT_NAME, Stage, stage

SURE = replace(parse_rule("concise:10"), sharpness=1000.0)
SHORT, LONG = "Rain is water that falls.", "Rain is water, and water falls from clouds. " * 9 + "So."


@pytest.fixture
async def hasty(tmp_path: Path, empty_store: Path) -> AsyncIterator[Stage]:
    """An arena that lets votes be cast at once."""
    arenas = {"default": ArenaConfig(integrity=Integrity(dwell_s=0, first_token_wait_s=5))}
    async with stage(tmp_path, empty_store, arenas=arenas) as set_up:
        yield set_up


@pytest.mark.parametrize(
    ("left", "right", "outcome"),
    [
        (SHORT, LONG, Outcome.LEFT),
        (LONG, SHORT, Outcome.RIGHT),
        (SHORT, "Water falls. That is rain.", Outcome.TIE),
        ("", "?", Outcome.BOTH_BAD),
        (SHORT, "Rain is water that", Outcome.LEFT),
        (LONG, "Rain is water that", Outcome.LEFT),
        ("Rain is water that", "Water that falls from clouds and", Outcome.BOTH_BAD),
    ],
)
def test_a_concise_answer_that_ends_whole_is_preferred(left: str, right: str, outcome: Outcome) -> None:
    assert SURE.vote(left, right, random.Random(0)) is outcome


def test_the_better_answer_wins_as_often_as_the_rule_says() -> None:
    rule = Rule("likes x", lambda answer: float("x" in answer), sharpness=1.0)
    dice = random.Random(5)
    won = sum(rule.vote("x", "y", dice) is Outcome.LEFT for _ in range(4000))
    assert abs(won / 4000 - 0.7311) < 0.03  # 1 / (1 + 1/e); four standard errors


@pytest.mark.parametrize("text", ["tall", "concise:0", "concise:few", "holds"])
def test_a_rule_that_is_none_is_told_with_those_there_are(text: str) -> None:
    with pytest.raises(SetupError, match=r"concise|holds:TEXT"):
        parse_rule(text)


async def test_votes_follow_the_rule_and_say_so(hasty: Stage) -> None:
    hasty.models[LEFT_NAME].pieces, hasty.models[RIGHT_NAME].pieces = [SHORT], [LONG]
    async with serving(hasty) as url:
        done = await simulate(Simulation(url, "default", ["What is rain?", "Why?"], SURE, repeats=3, voters=2))
    assert done.failures == {}
    assert done.wins == {LEFT_NAME: {"won": 6}, RIGHT_NAME: {"lost": 6}}
    assert sorted(vote.prompt for vote in done.votes) == ["What is rain?"] * 3 + ["Why?"] * 3
    kept = [await hasty.store.conversation(vote.conversation_id) for vote in done.votes]
    assert len({each.voter_id for each in kept}) == 2
    assert {each.vote.reasons for each in kept} == {(SURE.statement,)}


async def test_a_battle_without_answers_is_counted_with_its_reason(hasty: Stage) -> None:
    hasty.models[LEFT_NAME].refusal = (500, "worker_failed", "down")
    async with serving(hasty) as url:
        done = await simulate(Simulation(url, "default", ["What is rain?"], SURE))
    assert not done.votes
    assert list(done.failures.values()) == [1]


async def test_an_arena_that_is_not_there_is_named(hasty: Stage) -> None:
    async with serving(hasty) as url:
        with pytest.raises(SetupError, match="'other'"):
            await simulate(Simulation(url, "other", ["Why?"], SURE))
    with pytest.raises(SetupError, match="--url"):
        await simulate(Simulation("http://127.0.0.1:1", "default", ["Why?"], SURE))
