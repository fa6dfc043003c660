"""Where the peers are installed, and in which version."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "peers"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with one peer in it, made from the file of requirements of the same name."""

    name: str
    distribution: str
    pip_flags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def version(self) -> str | None:
        """None where it is not installed."""
        if not self.python.exists():
            return None
        ask = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        done = subprocess.run([self.python, "-c", ask], capture_output=True, text=True, check=False)
        return done.stdout.strip() or None


FASTCHAT = Environment("fastchat", "fschat", pip_flags=("--no-deps",))
LITELLM = Environment("litellm", "litellm")
FASTCHAT_ELO = Environment("fastchat_elo", "fschat", pip_flags=("--no-deps",))
FASTCHAT_DATA = Environment("fastchat_data", "fschat", pip_flags=("--no-deps",))
ARENA_RANK = Environment("arena_rank", "arena-rank")
ARENAKIT = Environment("arenakit", "arenakit")
ENVIRONMENTS = (FASTCHAT, LITELLM, FASTCHAT_ELO, FASTCHAT_DATA, ARENA_RANK, ARENAKIT)
# Takes half an hour to build, so it is not among those above: see README.md.
LLAMA_NATIVE = Environment("llama_native", "llama-cpp-python")
