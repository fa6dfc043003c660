"""A deterministic fake engine for tests, demos and load tests: any text, any delay, errors on demand."""

from fastchat.engines.scripted.engine import ScriptedEngine, check, load

__all__ = ["ScriptedEngine", "check", "load"]
