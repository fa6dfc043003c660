"""`python -m benchmarks.peers prepare`: install those we measure ourselves against, in `.cache/peers/`."""

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.environments import ENVIRONMENTS, Environment


def main() -> None:
    if sys.argv[1:] != ["prepare"]:
        raise SystemExit("usage: python -m benchmarks.peers prepare")
    for environment in ENVIRONMENTS:
        print(f"{environment.name}: installing")
        _prepare(environment)
        print(f"{environment.name}: {environment.version} is ready")


def _prepare(environment: Environment) -> None:
    if not environment.python.exists():
        venv.create(environment.folder, with_pip=True)
    requirements = Path(__file__).parent / f"{environment.name}.txt"
    pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *environment.pip_flags, "--requirement", str(requirements)], check=True)


if __name__ == "__main__":
    main()
