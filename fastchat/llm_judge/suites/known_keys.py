"""Public keys that came with this package, each with the suites that it signed."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from fastchat.llm_judge.suites.manifests import Manifest

FILE = Path(__file__).parent.parent / "data" / "suite_keys.toml"


class KnownKey(BaseModel):
    """Of suite_keys.toml, `[[key]]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public: str
    signed: Sequence[str]  # name and version of suites


def known_keys(file: Path = FILE) -> list[KnownKey]:
    return [KnownKey.model_validate(each) for each in tomllib.loads(file.read_text("utf-8")).get("key", [])]


def known_key(manifest: Manifest) -> str | None:
    """The key that this package knows to have signed a suite of that name and version. None: it knows of none.

    What a manifest says of its own key is believed by nobody.
    """
    suite = f"{manifest.name} {manifest.version}"
    return next((key.public for key in known_keys() if suite in key.signed), None)
