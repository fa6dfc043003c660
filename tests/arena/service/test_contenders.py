"""Who is in an arena, and how each is asked."""

from typing import Any

import pytest

from fastchat.arena.config import ArenaConfig, Boost, Matchmaking, Variant
from fastchat.arena.contenders import Entrant, ModelSettings, roster
from fastchat.arena.records import Mode, Sampling
from fastchat.protocol.control import ArenaPresence, RecommendedConfig, ServedModel


def served(*models: ServedModel) -> dict[str, ServedModel]:
    return {model.name: model for model in models}


def entrant(config: ArenaConfig | None = None, settings: ModelSettings | None = None, **model: Any) -> Entrant:
    own = {"m": settings} if settings else {}
    return roster(served(ServedModel(name="m", **model)), config or ArenaConfig(), own)["m"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [((), ["a-1", "a-2", "b[x]"]), (("a-*",), ["a-1", "a-2"]), (("b[x]", "a-1"), ["a-1", "b[x]"]), (("none",), [])],
)
def test_an_arena_has_the_models_it_names(patterns: tuple[str, ...], names: list[str]) -> None:
    fleet = served(*(ServedModel(name=name) for name in ("a-1", "a-2", "b[x]")))
    assert list(roster(fleet, ArenaConfig(models=patterns), {})) == names


@pytest.mark.parametrize(
    ("model", "takes_text", "can_see"),
    [
        ({}, True, False),
        ({"features": ("chat", "vision")}, True, True),
        ({"features": ("chat",)}, True, False),
        ({"arena": ArenaPresence(in_vision=True)}, True, True),
        ({"arena": ArenaPresence(in_text=False, in_vision=True)}, False, True),
    ],
)
def test_who_takes_text_and_who_can_see(model: dict[str, Any], takes_text: bool, can_see: bool) -> None:
    found = entrant(**model)
    assert (found.takes_text, found.can_see) == (takes_text, can_see)


@pytest.mark.parametrize(
    "model", [{"features": ("embeddings",)}, {"arena": ArenaPresence(in_text=False, in_vision=False)}]
)
def test_who_cannot_chat_is_not_there(model: dict[str, Any]) -> None:
    assert roster(served(ServedModel(name="m", **model)), ArenaConfig(), {}) == {}


def test_an_admins_word_goes_before_the_configuration_and_that_before_the_register_file() -> None:
    config = ArenaConfig(
        matchmaking=Matchmaking(weights={"m": 2}, outages=("m",), boosts={"m": Boost(factor=3, until_votes=9)})
    )
    plain = entrant().contender
    assert (plain.weight, plain.is_out, plain.boost, plain.is_anonymous) == (1, False, 1, False)
    configured = entrant(config, arena=ArenaPresence(is_anonymous_only=True)).contender
    assert (configured.weight, configured.is_out, configured.is_anonymous) == (2, True, True)
    assert (configured.boost, configured.boost_until_votes) == (3, 9)
    own = ModelSettings(weight=0, is_out=False, is_anonymous=False, boost=7, boost_until_votes=1)
    set_by_admin = entrant(config, own, arena=ArenaPresence(is_anonymous_only=True)).contender
    assert (set_by_admin.weight, set_by_admin.is_out, set_by_admin.is_anonymous) == (0, False, False)
    assert (set_by_admin.boost, set_by_admin.boost_until_votes) == (7, 1)


def test_a_hidden_model_is_known_as_such() -> None:
    assert entrant(settings=ModelSettings(is_hidden=True)).is_hidden
    assert not entrant().is_hidden


def test_an_anonymous_model_is_drawn_but_not_listed() -> None:
    assert not entrant(ArenaConfig(matchmaking=Matchmaking(anony_only=("m",)))).is_listed


def test_targets_may_be_strict() -> None:
    matchmaking = Matchmaking(targets={"m": ("a*",)}, strict_targets={"n": ("b",)})
    found = roster(served(ServedModel(name="m"), ServedModel(name="n")), ArenaConfig(matchmaking=matchmaking), {})
    assert (found["m"].contender.targets, found["m"].contender.is_strict) == (("a*",), False)
    assert (found["n"].contender.targets, found["n"].contender.is_strict) == (("b",), True)


def test_in_battles_what_the_provider_recommends_holds_and_elsewhere_the_readers_word() -> None:
    advice = RecommendedConfig(temperature=0.3, max_new_tokens=99, extra_body={"top_k": 5})
    model = entrant(arena=ArenaPresence(recommended=advice))
    wish = Sampling(temperature=1.5, top_p=0.9, max_tokens=10)
    battle = model.parameters(wish, Mode.BATTLE)
    assert (battle.temperature, battle.top_p, battle.max_tokens, battle.extra) == (0.3, 0.9, 99, {"top_k": 5})
    chosen = model.parameters(wish, Mode.SIDE_BY_SIDE)
    assert (chosen.temperature, chosen.top_p, chosen.max_tokens, chosen.extra) == (1.5, 0.9, 10, {})


def test_a_model_with_a_prompt_of_its_own_keeps_it_in_battles() -> None:
    own = entrant(arena=ArenaPresence(keeps_system_prompt=True))
    assert own.system("The arena's.", "The reader's.", Mode.BATTLE) == ""
    assert own.system("The arena's.", "The reader's.", Mode.DIRECT) == "The arena's.\n\nThe reader's."
    assert entrant().system("The arena's.", "", Mode.BATTLE) == "The arena's."


def test_a_variant_is_a_contender_like_any_other() -> None:
    variant = Variant(model="m", system="Be brief.", temperature=0)
    config = ArenaConfig(models=("n",), variants={"m-brief": variant, "x": Variant(model="gone")})
    found = roster(served(ServedModel(name="m"), ServedModel(name="n")), config, {})
    assert list(found) == ["m-brief", "n"]
    brief = found["m-brief"]
    assert brief.served.name == "m"
    assert brief.system("The arena's.", "", Mode.BATTLE) == "The arena's.\n\nBe brief."
    assert brief.parameters(Sampling(temperature=1), Mode.DIRECT).temperature == 0
