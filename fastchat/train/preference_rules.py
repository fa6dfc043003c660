"""Which votes are learned from: one rule after the other, each with words for those that it leaves out.

Where some of many have to stay, a digest of the vote's id draws them, so that the order of a file does not matter.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from fastchat.data.records import Message
from fastchat.data.texts import text_of, words_of
from fastchat.train.voted_battles import Comparison, VotedBattle


class Choice(BaseModel):
    """Which votes are learned from, as it stands in a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blind_only: bool = True
    models: tuple[str, ...] = ()  # only battles in which one of these took part
    winner: str | None = None
    loser: str | None = None
    # Of the two answers, in characters. Who always prefers the longer one teaches no more than that.
    most_times_longer: Annotated[float, Field(ge=1)] | None = 2.5
    most_per_voter: Annotated[int, Field(ge=1)] | None = 50  # of voters who are not known, nothing is left out


class Rule(NamedTuple):
    why: str  # said of what it leaves out
    keep: Callable[[Sequence[Comparison]], list[Comparison]]


def rules(choice: Choice, *, with_ties: bool, seed: int) -> Iterator[Rule]:
    """`seed` is of what is drawn: which votes of one voter stay, and which of those that say the same."""
    if choice.models:
        named = frozenset(choice.models)
        yield _each(
            f"{' or '.join(choice.models)} did not take part",
            lambda one: not named.isdisjoint((one.battle.model_a, one.battle.model_b)),
        )
    if choice.winner is not None:
        yield _each(f"{choice.winner} did not win", lambda one: one.winner == choice.winner)
    if choice.loser is not None:
        yield _each(f"{choice.loser} did not lose", lambda one: one.loser == choice.loser)
    if not with_ties:
        yield _each("neither was preferred", lambda one: one.is_decided)
    if (most := choice.most_times_longer) is not None:
        yield _each(
            f"an answer is more than {most:g} times as long as the other",
            lambda one: not one.is_decided or _times_longer(one) <= most,
        )
    if (cap := choice.most_per_voter) is not None:
        yield Rule(f"the voter cast more than {cap}", lambda given: _at_most(cap, given, seed, _voter))
    yield Rule("the same models had the same prompt", lambda given: _at_most(1, given, seed, _prompt_and_pair))


def last_of_each_conversation(battles: Sequence[VotedBattle]) -> list[VotedBattle]:
    """Of votes on one conversation, the one that was cast when most had been said; of these the last."""
    best: dict[str, int] = {}
    for place, battle in enumerate(battles):
        known = best.get(battle.conversation_id)
        if known is None or len(battle.conversation_a) >= len(battles[known].conversation_a):
            best[battle.conversation_id] = place
    return [
        battle
        for place, battle in enumerate(battles)
        if not battle.conversation_id or best[battle.conversation_id] == place
    ]


def is_held_out(prompt: Sequence[Message], share: float) -> bool:
    """By the first question alone: whatever was said behind it, and whoever was asked, it stands on one side for ever.

    Case, blanks and punctuation do not matter.
    """
    asked = next((text_of(message) for message in prompt if message["role"] == "user"), "")
    folded = _folded(asked)
    return _number(" ".join(words_of(folded)) or folded) < share * 2**64


def _each(why: str, stays: Callable[[Comparison], bool]) -> Rule:
    return Rule(why, lambda given: list(filter(stays, given)))


def _at_most(
    most: int, given: Sequence[Comparison], seed: int, key: Callable[[Comparison], Hashable | None]
) -> list[Comparison]:
    """Of equal keys so many stay, drawn by the seed; all of those without a key."""
    counts: Counter[Hashable] = Counter()
    kept = set()
    for place in sorted(range(len(given)), key=lambda place: _number(f"{seed}:{given[place].battle.vote_id}")):
        if (found := key(given[place])) is not None:
            counts[found] += 1
            if counts[found] > most:
                continue
        kept.add(place)
    return [one for place, one in enumerate(given) if place in kept]


def _voter(one: Comparison) -> Hashable | None:
    return one.battle.voter or None


def _prompt_and_pair(one: Comparison) -> Hashable:
    said = tuple((message["role"], _folded(message["content"])) for message in one.prompt)
    return said, frozenset((one.battle.model_a, one.battle.model_b))


def _times_longer(one: Comparison) -> float:
    lengths = [sum(len(said["content"]) for said in answer) for answer in (one.answer_a, one.answer_b)]
    return max(lengths) / min(lengths)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _number(text: str) -> int:
    """Of 64 bits, the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8])
