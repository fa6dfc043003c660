"""Sign the suites that come with the package, before a release that changes one of them.

    python scripts/sign_suites.py

The key is made here, signs once and is never written down, so there is nothing to keep or to lose; its public half goes
into data/suite_keys.toml, with the suites that it signed. A suite that is signed as it stands is left alone. One that
was changed needs another version in its suite.toml first: a name and a version mean the same questions for ever.
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fastchat.core.errors import SetupError
from fastchat.llm_judge.suites.certifying import certify, describe, verify
from fastchat.llm_judge.suites.known_keys import FILE, known_keys
from fastchat.llm_judge.suites.manifests import Manifest
from fastchat.llm_judge.suites.signing import SigningKey

DATA = FILE.parent
SUITES = sorted(file.parent for file in DATA.glob("*/suite.toml") if file.parent.name != "new_set")


def main() -> None:
    keys = {suite: key.public for key in known_keys() for suite in key.signed}
    due = [folder for folder in SUITES if not is_signed(folder, keys)]
    for folder in due:
        if (suite := describe(folder)) in keys:
            sys.exit(f"{folder}: {suite} was signed and differs from it. Give it another version in suite.toml.")
    if not due:
        print("All suites are signed as they stand.")
        return
    key = SigningKey(Ed25519PrivateKey.generate())
    signed = [certify(folder, key) for folder in due]
    names = [f"{manifest.name} {manifest.version}" for manifest in signed]
    entry = f'\n[[key]]\npublic = "{key.public}"\nsigned = {json.dumps(names)}\n'
    FILE.write_text(FILE.read_text("utf-8") + entry, "utf-8")
    print(f"Signed: {', '.join(names)}. Commit the manifests and {FILE.name}.")


def is_signed(folder: Path, keys: dict[str, str]) -> bool:
    try:
        manifest = Manifest.read(folder)
    except SetupError:
        return False
    public = keys.get(f"{manifest.name} {manifest.version}")
    return public is not None and not verify(folder, public)


if __name__ == "__main__":
    main()
