"""Where a server's program is: in an environment of its own, in ours, or on the PATH."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.engines.launched.table import ServerKind

_ASK_S = 60.0


def find_program(
    name: str, kind: ServerKind, model: str, *, python: str | None, environ: Mapping[str, str]
) -> list[str]:
    """The beginning of the server's command line. `python` is an interpreter that has it.

    Raises:
        SetupError: it is nowhere; says where was looked and how to get it.
    """
    variable = f"FASTCHAT_{name.upper()}_PYTHON"
    if chosen := python or environ.get(variable):
        return [_with_package(chosen, kind), "-m", *_fill(kind.module, model)]
    if kind.package and find_spec(kind.package):
        return [sys.executable, "-m", *_fill(kind.module, model)]
    if kind.program and (path := shutil.which(kind.program[0], path=environ.get("PATH"))):
        return [path, *_fill(kind.program[1:], model)]
    raise SetupError(
        f"{kind.title} is not installed here. Get it: {kind.install}. Where it has an environment of its own, name its "
        f"interpreter with --python or {variable}."
    )


def _with_package(python: str, kind: ServerKind) -> str:
    path = shutil.which(str(Path(python).expanduser()))
    if path is None:
        raise SetupError(f"There is no interpreter {python!r} to run {kind.title} with.")
    ask = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({kind.package!r}) is None)"
    if subprocess.run([path, "-c", ask], timeout=_ASK_S, check=False, stdin=subprocess.DEVNULL).returncode:
        raise SetupError(f"{path} has no package {kind.package!r}. Get it: {kind.install}.")
    return path


def own_command(command: str, values: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """The user's command line with {host}, {port} and so on filled in.

    Raises:
        SetupError: it names no program that is here, or does not say where the port goes.
    """
    if "{port}" not in command:
        raise SetupError(f"--launch {command!r} does not say where the port goes; write {{port}} there.")
    words = shlex.split(command)
    for name, value in values.items():
        words = [word.replace(f"{{{name}}}", value) for word in words]
    path = shutil.which(words[0], path=environ.get("PATH"))
    if path is None:
        raise SetupError(f"There is no program {words[0]!r} here. Install it, or give its path in --launch.")
    return [path, *words[1:]]


def server_environ(kind: ServerKind, program: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without our secrets and settings, which are no business of another program."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FASTCHAT_")}
    # What it compiles for is called by name, and lies beside its interpreter.
    path = f"{Path(program).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    return {**kind.environ, **inherited, "PATH": path, "PYTHONUNBUFFERED": "1", **extra}


def _fill(words: Sequence[str], model: str) -> list[str]:
    return [word.replace("{model}", model) for word in words]
