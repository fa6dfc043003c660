"""`fastchat keys`: make API keys, and hashes of passwords."""

import argparse
import re
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path

from fastchat.access.keys import new_key
from fastchat.access.passwords import hash_password
from fastchat.access.people import Role
from fastchat.core.errors import SetupError


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat keys", description="Make API keys; only their hashes are kept.")
    subparsers = parser.add_subparsers(dest="action", required=True)
    new = subparsers.add_parser("new", help="print a new key once and add its hash to a file")
    new.add_argument("name", help="whose key it is")
    new.add_argument("--file", default="api-keys", help="keys file, for --api-keys-file (default: %(default)s)")
    new.add_argument("--role", choices=list(Role), type=Role, default=Role.VOTER, help="default: %(default)s")
    password = subparsers.add_parser("password", help="ask for a password and print its line for --gradio-auth-path")
    password.add_argument("name", help="who signs in with it")
    arguments = parser.parse_args(argv)
    if not re.fullmatch(r"[\w.@-]{1,64}", arguments.name):
        raise SetupError(f"A name has up to 64 letters, digits, '.', '_', '@' or '-'; given: {arguments.name!r}.")
    if arguments.action == "password":
        print(f"{arguments.name}:{hash_password(_ask())}")
        return
    made = new_key(arguments.name, arguments.role)
    try:
        _add(Path(arguments.file), arguments.name, made.line)
    except OSError as error:
        raise SetupError(f"--file {arguments.file}: {error.strerror}.") from None
    print(made.key)


def _ask() -> str:
    """From the terminal unseen and twice, else the first line of what is piped in."""
    if sys.stdin.isatty():
        password = getpass("Password: ")
        if getpass("Again: ") != password:
            raise SetupError("The two passwords differ.")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise SetupError("No password was given.")
    return password


def _add(file: Path, name: str, line: str) -> None:
    file.touch(mode=0o600)
    lines = file.read_text().splitlines()
    if any(other.startswith(f"{name}:") for other in lines):
        raise SetupError(f"{file} has a key of {name!r} already. Remove its line first, or choose another name.")
    file.write_text("\n".join([*lines, line]) + "\n")
