"""The real llama.cpp engine, from the engines' tests."""

from tests.engines.conftest import engines, llama

__all__ = ["engines", "llama"]
