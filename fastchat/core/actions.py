"""Commands of several actions, `fastchat COMMAND ACTION …`, each with settings of its own."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from fastchat.core import logs
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.settings import Settings


class Action(NamedTuple):
    settings: type[Settings]
    run: Callable[[Any], Coroutine[Any, Any, int]]  # Any: settings of that class; gives the exit status
    summary: str


def run_action(prog: str, description: str, actions: Mapping[str, Action], arguments: Sequence[str]) -> None:
    """
    Raises:
        SetupError: what its user has to mend.
        SystemExit: it ended with another status than 0; 141 if whoever read its output went away.
    """
    if arguments and arguments[0] in actions:
        name, given = arguments[0], arguments[1:]
    else:
        name, given = _overview(prog, description, actions).parse_args(arguments).action, ()
    action = actions[name]
    said = f"{action.summary[0].upper()}{action.summary[1:]}."
    settings = action.settings.from_argv(given, prog=f"{prog} {name}", description=said)
    logs.configure("ERROR")
    end_with(lambda: asyncio.run(action.run(settings)))


def end_with(run: Callable[[], int]) -> None:
    """Do what a command does; what it gives is the exit status.

    Raises:
        SetupError: what its user has to mend, a file that cannot be read or written included.
        SystemExit: as `run_action`.
    """
    try:
        status = run()
        sys.stdout.flush()  # what cannot be written is noticed here, and not when the interpreter ends
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it ends
        raise SystemExit(141) from None
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise SetupError(f"A file{place} cannot be read or written: {error.strerror or error}.") from None
    except FastChatError as error:
        raise SetupError(error.message) from None
    if status:
        raise SystemExit(status)


def _overview(prog: str, description: str, actions: Mapping[str, Action]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=description)
    choices = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, action in actions.items():
        choices.add_parser(name, help=action.summary)
    return parser
