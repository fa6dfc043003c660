"""`fastchat keys`: make API keys."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from fastchat.access.keys import new_key
from fastchat.core.errors import SetupError


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat keys", description="Make API keys; only their hashes are kept.")
    subparsers = parser.add_subparsers(dest="action", required=True)
    new = subparsers.add_parser("new", help="print a new key once and add its hash to a file")
    new.add_argument("name", help="whose key it is")
    new.add_argument("--file", default="api-keys", help="keys file, for --api-keys-file (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if not re.fullmatch(r"[\w.@-]{1,64}", arguments.name):
        raise SetupError(f"A key's name has up to 64 letters, digits, '.', '_', '@' or '-'; given: {arguments.name!r}.")
    made = new_key(arguments.name)
    try:
        _add(Path(arguments.file), arguments.name, made.line)
    except OSError as error:
        raise SetupError(f"--file {arguments.file}: {error.strerror}.") from None
    print(made.key)


def _add(file: Path, name: str, line: str) -> None:
    file.touch(mode=0o600)
    lines = file.read_text().splitlines()
    if any(other.startswith(f"{name}:") for other in lines):
        raise SetupError(f"{file} has a key of {name!r} already. Remove its line first, or choose another name.")
    file.write_text("\n".join([*lines, line]) + "\n")
