"""Who may meet whom, how likely, and that draws happen as often as they say."""

import random
import time
from collections import Counter
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.arena.matchmaking import EXPLORATION, POLICIES, Contender, Matchmaker, Pair
from fastchat.arena.records import Outcome
from fastchat.arena.tally import PairVotes, Tally, pair_of
from fastchat.core.errors import NotEnoughModels, SetupError, UnknownModel

NAMES = "abcdef"

contenders = st.builds(
    Contender,
    name=st.just(""),
    weight=st.just(0.0) | st.floats(0.01, 100),
    is_out=st.booleans() | st.just(False),
    boost=st.floats(0.5, 10),
    boost_until_votes=st.integers(0, 10),
    targets=st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    is_strict=st.just(False) | st.booleans(),
    is_anonymous=st.booleans(),
)
pools = st.lists(contenders, max_size=len(NAMES)).map(
    lambda items: [replace(item, name=name) for item, name in zip(items, NAMES, strict=False)]
)
casts = st.lists(st.tuples(st.permutations(NAMES), st.sampled_from(Outcome)), max_size=20)
policies = st.sampled_from(sorted(POLICIES))


def tallied(cast: list[tuple[list[str], Outcome]]) -> Tally:
    tally = Tally()
    for (left, right, *_), outcome in cast:
        tally.add(left, right, outcome)
    return tally


def matchmaker(policy: str = "weighted", seed: int = 1) -> Matchmaker:
    return Matchmaker(random.Random(seed), policy)


def odds(pool: list[Contender], tally: Tally | None = None, policy: str = "weighted") -> dict[Pair, float]:
    """Of each pair that can be drawn; empty if nobody may meet."""
    try:
        return dict(matchmaker(policy).pair_probabilities(pool, tally or Tally()))
    except NotEnoughModels:
        return {}


def can_meet(one: Contender, other: Contender) -> bool:
    """The rules in other words; the one for anonymous models has its own tests."""
    can_be_drawn = all(item.weight > 0 and not item.is_out for item in (one, other))
    is_wanted = (not one.is_strict or other.name in one.targets) and (not other.is_strict or one.name in other.targets)
    return can_be_drawn and is_wanted


# Laws


@given(pools, casts, policies)
def test_probabilities_sum_to_one(pool: list[Contender], cast: list[tuple[list[str], Outcome]], policy: str) -> None:
    chances = odds(pool, tallied(cast), policy)
    assert not chances or sum(chances.values()) == pytest.approx(1)


@given(pools, casts, policies)
def test_exactly_the_pairs_that_can_meet_are_drawn(
    pool: list[Contender], cast: list[tuple[list[str], Outcome]], policy: str
) -> None:
    possible = {
        pair_of(one.name, other.name): one.is_anonymous and other.is_anonymous
        for one in pool
        for other in pool
        if one is not other and can_meet(one, other)
    }
    without_anonymous = {pair for pair, are_anonymous in possible.items() if not are_anonymous}
    chances = odds(pool, tallied(cast), policy)
    assert set(chances) == (without_anonymous or set(possible))
    assert all(chance > 0 for chance in chances.values())


@given(pools, casts, policies, st.permutations(NAMES))
def test_other_names_change_nothing(
    pool: list[Contender], cast: list[tuple[list[str], Outcome]], policy: str, names: list[str]
) -> None:
    new = dict(zip(NAMES, names, strict=True))
    renamed = [replace(item, name=new[item.name], targets=tuple(new[name] for name in item.targets)) for item in pool]
    recast = [([new[name] for name in order], outcome) for order, outcome in cast]
    before = {pair_of(new[a], new[b]): chance for (a, b), chance in odds(pool, tallied(cast), policy).items()}
    assert odds(renamed[::-1], tallied(recast), policy) == pytest.approx(before)


@given(pools, casts, policies, st.integers())
def test_a_draw_says_its_probability(
    pool: list[Contender], cast: list[tuple[list[str], Outcome]], policy: str, seed: int
) -> None:
    tally = tallied(cast)
    if chances := odds(pool, tally, policy):
        draw = matchmaker(policy, seed).draw(pool, tally)
        assert draw.probability == chances[pair_of(draw.left, draw.right)]
        assert draw.policy == policy


# The weighted rule


def test_a_pair_is_as_likely_as_its_two_orders_together() -> None:
    pool = [Contender("a", weight=1), Contender("b", weight=2), Contender("c", weight=3)]
    assert odds(pool) == pytest.approx(
        {
            ("a", "b"): 1 / 6 * 2 / 5 + 2 / 6 * 1 / 4,
            ("a", "c"): 1 / 6 * 3 / 5 + 3 / 6 * 1 / 3,
            ("b", "c"): 2 / 6 * 3 / 4 + 3 / 6 * 2 / 3,
        }
    )


def test_models_weigh_the_same_unless_somebody_says_otherwise() -> None:
    chances = odds([Contender(name) for name in "abcde"])
    assert chances == pytest.approx(dict.fromkeys(chances, 1 / 10))
    assert len(chances) == 10


@pytest.mark.parametrize("target", ["c", "c*", "[!abd]"])
def test_targets_get_half_of_a_models_battles(target: str) -> None:
    pool = [Contender("a", targets=(target,)), *(Contender(name) for name in "bcd")]
    chances = odds(pool)
    assert chances["a", "c"] == pytest.approx(1 / 4 * 1 / 2 + 1 / 4 * 1 / 3)
    assert chances["a", "b"] == pytest.approx(1 / 4 * 1 / 4 + 1 / 4 * 1 / 3)


def test_a_target_whose_weight_brings_more_than_half_keeps_it() -> None:
    pool = [Contender("a", targets=("b",)), Contender("b", weight=8), Contender("c", weight=2)]
    assert odds(pool) == pytest.approx(odds([replace(item, targets=()) for item in pool]))


def test_a_target_that_does_not_run_changes_nothing() -> None:
    pool = [Contender("a", targets=("gone",)), Contender("b"), Contender("c")]
    assert odds(pool)["a", "b"] == pytest.approx(1 / 3)


def test_a_name_with_brackets_is_a_target_by_its_name() -> None:
    pool = [Contender("a", targets=("b[8bit]",), is_strict=True), Contender("b[8bit]"), Contender("c")]
    assert odds(pool).keys() == {("a", "b[8bit]"), ("b[8bit]", "c")}


def test_strict_targets_hold_whoever_is_drawn_first() -> None:
    pool = [Contender("a", targets=("b",), is_strict=True), Contender("b"), Contender("c")]
    # c can be drawn first too, and then meets b only.
    assert odds(pool) == pytest.approx({("a", "b"): 1 / 3 + 1 / 3 / 2, ("b", "c"): 1 / 3 + 1 / 3 / 2})


def test_a_model_without_any_rival_is_left_out() -> None:
    pool = [Contender("lonely", targets=("gone",), is_strict=True), Contender("b"), Contender("c")]
    assert odds(pool) == pytest.approx({("b", "c"): 1})


def test_a_boost_ends_with_the_votes_that_were_asked_for() -> None:
    pool = [Contender("new", boost=5, boost_until_votes=2), Contender("b"), Contender("c")]
    boosted = odds([replace(pool[0], weight=5, boost_until_votes=0), *pool[1:]])
    tally, same = Tally(), matchmaker()
    for _ in range(2):
        assert same.pair_probabilities(pool, tally) == pytest.approx(boosted)
        tally.add("new", "b", Outcome.TIE)
    assert same.pair_probabilities(pool, tally) == pytest.approx(dict.fromkeys(boosted, 1 / 3))


def test_two_anonymous_models_do_not_meet() -> None:
    pool = [Contender("a", is_anonymous=True), Contender("b", is_anonymous=True), Contender("c")]
    assert odds(pool) == pytest.approx({("a", "c"): 0.5, ("b", "c"): 0.5})


def test_two_anonymous_models_meet_where_nobody_else_can() -> None:
    pool = [Contender("a", is_anonymous=True), Contender("b", is_anonymous=True), Contender("c", is_out=True)]
    assert odds(pool) == {("a", "b"): 1}


@pytest.mark.parametrize("weight", [1e308, 1e-308])
def test_only_the_proportions_of_weights_count(weight: float) -> None:
    pool = [Contender(name, weight=weight, targets=("b",)) for name in "abc"]
    assert odds(pool) == pytest.approx(odds([replace(item, weight=1.0) for item in pool]))


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(SetupError, match=r"'a' is (-1.0|nan|inf)"):
        Contender("a", weight=weight)


# Active sampling


def test_active_chances_follow_the_standard_error() -> None:
    tally = Tally()
    tally.add("a", "b", Outcome.LEFT, votes=4)
    tally.add("a", "c", Outcome.TIE, votes=1)
    gains = {("a", "b"): PairVotes(first_wins=4), ("a", "c"): PairVotes(ties=1), ("b", "c"): PairVotes()}
    total = sum(pair.gain for pair in gains.values())
    chances = odds([Contender(name) for name in "abc"], tally, "active")
    assert chances == pytest.approx(
        {name: EXPLORATION / 3 + (1 - EXPLORATION) * pair.gain / total for name, pair in gains.items()}
    )


def test_without_votes_active_is_weighted() -> None:
    pool = [Contender("a", weight=3, targets=("b",)), Contender("b"), Contender("c")]
    assert odds(pool, policy="active") == pytest.approx(odds(pool))


def test_a_pair_that_everybody_has_judged_is_still_drawn() -> None:
    pool, tally = [Contender(name) for name in "abc"], Tally()
    tally.add("a", "b", Outcome.LEFT, votes=10**9)
    assert odds(pool, tally, "active")["a", "b"] == pytest.approx(EXPLORATION / 3, rel=1e-3)


def test_votes_divided_by_their_probability_are_spread_evenly() -> None:
    """What rankings need: however active sampling leans, sum(1 / probability) over draws is the same for all pairs."""
    pool, tally, same = [Contender(name, weight=1 + ord(name) % 3) for name in "abcd"], Tally(), matchmaker("active")
    seen: Counter[Pair] = Counter()
    corrected = dict.fromkeys(odds(pool), 0.0)
    for _ in range(6000):
        draw = same.draw(pool, tally)
        tally.add(draw.left, draw.right, Outcome.LEFT if draw.left < draw.right else Outcome.TIE)
        seen[pair_of(draw.left, draw.right)] += 1
        corrected[pair_of(draw.left, draw.right)] += 1 / draw.probability
    assert max(seen.values()) > 1.3 * min(seen.values())
    assert {pair: total / 6000 for pair, total in corrected.items()} == pytest.approx(dict.fromkeys(seen, 1), rel=0.1)


# Draws


@pytest.mark.parametrize("policy", POLICIES)
def test_pairs_come_as_often_as_their_probability_says(policy: str) -> None:
    pool = [Contender(name, weight=1 + number, targets=("e",)) for number, name in enumerate("abcde")]
    tally = tallied([(list(order), Outcome.LEFT) for order in ("abcd", "abcd", "bcda", "dcba", "eabc")])
    same, draws = matchmaker(policy), 20_000
    expected = same.pair_probabilities(pool, tally)
    drawn = [same.draw(pool, tally) for _ in range(draws)]
    counts = Counter(pair_of(draw.left, draw.right) for draw in drawn)
    chi_square = sum((counts[pair] - draws * chance) ** 2 / (draws * chance) for pair, chance in expected.items())
    assert chi_square < 27.88  # 99.9 % of chi-square with 9 degrees of freedom
    on_the_left = sum(draw.left < draw.right for draw in drawn)
    assert abs(on_the_left - draws / 2) < 3.3 * (draws / 4) ** 0.5
    for pair in expected:  # within each pair too: 10 of them, so a wider margin
        heads = sum((draw.left, draw.right) == pair for draw in drawn)
        assert abs(heads - counts[pair] / 2) < 4 * (counts[pair] / 4) ** 0.5


def test_the_same_seed_draws_the_same() -> None:
    pool = [Contender(name) for name in "abcdef"]
    first, second = ([same.draw(pool, Tally()) for _ in range(20)] for same in (matchmaker(seed=7), matchmaker(seed=7)))
    assert first == second


def test_among_leaves_out_all_others() -> None:
    pool = [Contender(name) for name in "abcd"]
    assert matchmaker().pair_probabilities(pool, Tally(), among={"b", "d"}) == {("b", "d"): 1}


def test_a_required_model_is_always_there() -> None:
    pool = [Contender("a"), Contender("b", weight=2), Contender("c")]
    chances = odds(pool)
    conditional = matchmaker().pair_probabilities(pool, Tally(), required="a")
    total = chances["a", "b"] + chances["a", "c"]
    assert conditional == pytest.approx({pair: chances[pair] / total for pair in [("a", "b"), ("a", "c")]})
    draw = matchmaker().draw(pool, Tally(), required="a")
    assert "a" in draw[:2]
    assert draw.probability == conditional[pair_of(draw.left, draw.right)]


# What is said where nobody can meet


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ([], "A battle needs two models; none is running. Start two; they join without a restart."),
        ([Contender("a")], "A battle needs two models; only a is running. Start another; it joins without a restart."),
        ([Contender("secret", is_anonymous=True)], "A battle needs two models; only one is running."),
        (
            [Contender("a", weight=0), Contender("b", weight=0)],
            "2 are running, but all of them are given the weight 0. Whoever runs this arena can change that.",
        ),
        ([Contender("a"), Contender("b", is_out=True)], "2 are running, but all but a are out of service."),
        (
            [Contender("a", weight=0), Contender("b", is_out=True)],
            "but all of them are out of service or given the weight 0.",
        ),
        (
            [Contender("a", targets=("gone",), is_strict=True), Contender("b")],
            "No two of the 2 models that can be drawn may meet: the strict targets among them forbid every pair.",
        ),
    ],
)
def test_a_battle_without_two_models_says_why(pool: list[Contender], message: str) -> None:
    with pytest.raises(NotEnoughModels) as caught:
        matchmaker().draw(pool, Tally())
    assert message in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.status == 503


def test_models_that_run_but_do_not_fit_are_not_said_to_be_down() -> None:
    with pytest.raises(NotEnoughModels, match="of those that can be used here, only a is running"):
        matchmaker().draw([Contender("a"), Contender("b")], Tally(), among=["a"])


def test_a_required_model_that_is_unknown_or_alone_says_so() -> None:
    pool = [Contender("a"), Contender("b"), Contender("out", is_out=True), Contender("secret", is_anonymous=True)]
    with pytest.raises(UnknownModel, match=r"'z' does not exist. Models served here: a, b, out\."):
        matchmaker().draw(pool, Tally(), required="z")
    with pytest.raises(NotEnoughModels, match="'out' has no opponent"):
        matchmaker().draw(pool, Tally(), required="out")


def test_an_unknown_policy_names_those_there_are() -> None:
    with pytest.raises(SetupError, match=r"'best'. There are: weighted, active\."):
        matchmaker("best")


# Cost


@pytest.mark.parametrize("policy", POLICIES)
def test_a_draw_from_130_models_is_cheap(policy: str) -> None:
    rng, tally, same = random.Random(1), Tally(), matchmaker(policy)
    pool = [Contender(f"maker/model-{number}", weight=rng.uniform(0.5, 3)) for number in range(130)]
    for _ in range(20_000):
        left, right = rng.sample(pool, 2)
        tally.add(left.name, right.name, Outcome.TIE)
    spent = []
    for _ in range(50):
        start = time.thread_time()
        draw = same.draw(pool, tally)
        tally.add(draw.left, draw.right, Outcome.LEFT)
        spent.append(time.thread_time() - start)
    assert median(spent) < 0.005
