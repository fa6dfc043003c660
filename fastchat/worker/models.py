"""The engines of a worker and the names they answer to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from fastchat.core.errors import InvalidRequest, UnknownModel
from fastchat.engines.base import Engine, Feature
from fastchat.protocol.control import ServedModel
from fastchat.worker.admission import Admission

SAMPLING_NAMES: tuple[str, ...] = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "seed", "max_tokens"),
)
SamplingDefaults: TypeAlias = Mapping[str, int | float]  # by the names of OpenAI's fields


@dataclass(frozen=True, slots=True)
class HostedModel:
    """An engine with its queue. Several names may lead to it."""

    engine: Engine
    admission: Admission
    adapter: str | None = None  # names of adapters lead to the same engine with this set
    defaults: SamplingDefaults = field(default_factory=dict)  # for requests that do not say

    def require(self, feature: Feature, param: str) -> None:
        if feature not in self.engine.info.features:
            raise InvalidRequest(
                f"This model does not support {param} (engine {self.engine.info.engine!r}).", param=param
            )


class HostedModels:
    """Name → model. Built once, when the engines are loaded."""

    def __init__(self, by_name: Mapping[str, HostedModel]) -> None:
        self._by_name = dict(by_name)

    @classmethod
    def build(
        cls, engines: Sequence[tuple[Sequence[str], Engine, SamplingDefaults]], max_waiting: int
    ) -> "HostedModels":
        by_name: dict[str, HostedModel] = {}
        for names, engine, defaults in engines:
            model = HostedModel(engine, Admission(engine.info.slots, max_waiting), defaults=defaults)
            by_name |= dict.fromkeys(names, model)
            for adapter in engine.info.adapters:
                by_name[adapter] = replace(model, adapter=adapter)
        return cls(by_name)

    def find(self, name: str | None) -> HostedModel:
        """The model of this name; without a name, the only one.

        Raises:
            UnknownModel: there is none.
        """
        if name is None and len(set(map(id, self._by_name.values()))) == 1:
            return next(iter(self._by_name.values()))
        model = self._by_name.get(name or "")
        if model is None:
            raise UnknownModel(name or "", list(self._by_name))
        return model

    @property
    def engines(self) -> list[Engine]:
        return list({id(model.engine): model.engine for model in self._by_name.values()}.values())

    @property
    def admissions(self) -> list[Admission]:
        return list({id(model.admission): model.admission for model in self._by_name.values()}.values())

    @property
    def named(self) -> Mapping[str, HostedModel]:
        return self._by_name

    def served(self) -> tuple[ServedModel, ...]:
        return tuple(
            ServedModel(
                name=name,
                context_length=model.engine.info.context_length,
                features=tuple(sorted(model.engine.info.features)),
                engine=model.engine.info.engine,
            )
            for name, model in self._by_name.items()
        )
