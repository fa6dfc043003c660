"""Who is in an arena at the moment: the fleet's models that its configuration lets in, and variants of them.

What an admin set while it runs wins over the configuration, and both over what a model was registered with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

from fastchat.arena.config import ArenaConfig, Variant
from fastchat.arena.pool import Contender
from fastchat.arena.records import Mode, Sampling
from fastchat.client.chat import ChatParameters
from fastchat.protocol.control import RecommendedConfig, ServedModel


class ModelSettings(BaseModel):
    """What an admin may set of one model. What is None is left to the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: NonNegativeFloat | None = Field(None, description="how often it is drawn; 1 is as often as everybody")
    is_out: bool | None = Field(None, description="an outage: not drawn at the moment")
    is_anonymous: bool | None = Field(None, description="drawn, but not listed")
    boost: PositiveFloat | None = Field(None, description="factor on the weight while the model is new")
    boost_until_votes: PositiveInt | None = Field(None, description="how many votes make it an old one")
    is_hidden: bool | None = Field(None, description="neither drawn nor listed")


@dataclass(frozen=True, slots=True)
class Entrant:
    """A name one can meet in an arena."""

    name: str
    served: ServedModel  # who answers
    contender: Contender
    variant: Variant | None = None
    is_hidden: bool = False  # by an admin

    @property
    def is_listed(self) -> bool:
        return not self.contender.is_anonymous

    @property
    def can_chat(self) -> bool:
        presence = self.served.arena
        speaks = not self.served.features or "chat" in self.served.features
        return speaks and (presence is None or presence.in_text or presence.in_vision)

    @property
    def takes_text(self) -> bool:
        """Whether battles without pictures may draw it."""
        return self.can_chat and (self.served.arena is None or self.served.arena.in_text)

    @property
    def can_see(self) -> bool:
        is_registered_for_it = self.served.arena is not None and self.served.arena.in_vision
        return self.can_chat and (is_registered_for_it or "vision" in self.served.features)

    def system(self, arena: str, own: str, mode: Mode) -> str:
        """All system messages that apply: the arena's, the variant's, the reader's."""
        of_variant = self.variant.system if self.variant else ""
        keeps_its_own = self.served.arena is not None and self.served.arena.keeps_system_prompt
        parts = [of_variant] if keeps_its_own and mode is Mode.BATTLE else [arena, of_variant, own]
        return "\n\n".join(part.strip() for part in parts if part.strip())

    def parameters(self, sampling: Sampling, mode: Mode) -> ChatParameters:
        """In a battle the provider's recommendation wins over the reader, who does not know whom it is for."""
        presence = self.served.arena
        advice = presence.recommended if presence and mode is Mode.BATTLE else None
        advice = advice or RecommendedConfig()
        variant = self.variant or Variant(model=self.served.name)
        return ChatParameters(
            temperature=_first(variant.temperature, advice.temperature, sampling.temperature),
            top_p=_first(variant.top_p, advice.top_p, sampling.top_p),
            max_tokens=_first(variant.max_tokens, advice.max_new_tokens, sampling.max_tokens),
            extra=advice.extra_body,
        )


def _first(*values: Any) -> Any:  # Any: each call has values of one kind
    return next((value for value in values if value is not None), None)


def roster(
    served: Mapping[str, ServedModel], config: ArenaConfig, settings: Mapping[str, ModelSettings]
) -> dict[str, Entrant]:
    """By name, in the fleet's order, variants behind their model; hidden ones are among them."""
    entrants: dict[str, Entrant] = {}
    for name, model in served.items():
        if _matches(name, config.models):
            entrants[name] = _entrant(name, model, None, config, settings)
        for own_name, variant in config.variants.items():
            if variant.model == name and own_name not in served:
                entrants[own_name] = _entrant(own_name, model, variant, config, settings)
    return {name: entrant for name, entrant in entrants.items() if entrant.can_chat}


def _entrant(
    name: str,
    served: ServedModel,
    variant: Variant | None,
    config: ArenaConfig,
    settings: Mapping[str, ModelSettings],
) -> Entrant:
    matchmaking, own = config.matchmaking, _settings(settings, name)
    boost = matchmaking.boosts.get(name)
    is_registered_so = served.arena is not None and served.arena.is_anonymous_only
    contender = Contender(
        name=name,
        weight=_first(own.weight, matchmaking.weights.get(name), 1.0),
        is_out=_first(own.is_out, name in matchmaking.outages),
        boost=_first(own.boost, boost.factor if boost else None, 1.0),
        boost_until_votes=_first(own.boost_until_votes, boost.until_votes if boost else None, 0),
        targets=matchmaking.strict_targets.get(name) or matchmaking.targets.get(name) or (),
        is_strict=name in matchmaking.strict_targets,
        is_anonymous=_first(own.is_anonymous, name in matchmaking.anony_only or is_registered_so),
    )
    return Entrant(name, served, contender, variant, is_hidden=bool(own.is_hidden))


def _settings(settings: Mapping[str, ModelSettings], name: str) -> ModelSettings:
    return settings.get(name) or ModelSettings()


def _matches(name: str, patterns: Sequence[str]) -> bool:
    # Equality first: a name may hold brackets, which a pattern reads as a set of characters.
    return not patterns or any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)
