"""A deterministic fake engine for tests, demos and load tests: any text, any delay, errors on demand."""

from fastchat.engines.scripted.engine import ScriptedEngine, check, load

SUPPORTS = frozenset({"device", "adapters"})  # accepted, so that commands can be tried with it

__all__ = ["SUPPORTS", "ScriptedEngine", "check", "load"]
