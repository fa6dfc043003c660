from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.engines import registry
from fastchat.engines.flags import ModelSettings
from fastchat.engines.registry import EngineOptions, check_options, engine_names, load_engine
from fastchat.engines.scripted import ScriptedEngine


def install(monkeypatch: pytest.MonkeyPatch, found: Sequence[EntryPoint]) -> None:
    def entry_points(**wanted: Any) -> EntryPoints:
        return EntryPoints(found).select(**wanted)

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_our_own_engines_are_found() -> None:
    assert {"llamacpp", "scripted"} <= set(engine_names())


async def test_an_unknown_engine_is_refused_with_the_names() -> None:
    with pytest.raises(SetupError, match=r"no engine 'magic'.*llamacpp.*scripted"):
        await load_engine("magic", EngineOptions("scripted"))


async def test_a_strangers_engine_is_loaded_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [EntryPoint("theirs", "fastchat.engines.scripted:load", registry.GROUP)])
    assert engine_names() == ["theirs"]
    assert isinstance(await load_engine("theirs", EngineOptions("scripted")), ScriptedEngine)


def test_a_strangers_engine_need_not_check_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [EntryPoint("theirs", "fastchat.engines.scripted.engine:load", registry.GROUP)])
    monkeypatch.delattr("fastchat.engines.scripted.engine.check")
    check_options("theirs", EngineOptions("scripted", engine_args={"frob": 1}))


def test_options_are_refused_without_loading() -> None:
    with pytest.raises(SetupError, match="there is no 'frob'"):
        check_options("scripted", EngineOptions("scripted", engine_args={"frob": 1}))
    with pytest.raises(SetupError, match="threads: Input should be greater than"):
        check_options("llamacpp", EngineOptions("model.gguf", engine_args={"threads": 0}))


@pytest.mark.parametrize("name", ["context_length", "num_gpus"])
def test_a_number_of_nothing_is_refused_before_anything_is_loaded(name: str) -> None:
    """A worker with a context of -5 started, could not announce itself, and did not end when told to."""
    with pytest.raises(ValidationError, match="greater than 0"):
        ModelSettings(**{name: -5})
