"""What is signed: of a suite its manifest, of results on it a certificate. Both are a list of files with digests.

manifest.json     in the suite's folder
certificate.json  in the folder of results, beside model_answer/ and model_judgment/
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import SetupError
from fastchat.llm_judge.suites.signing import SigningKey, has_signed

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Hidden(BaseModel):
    """Questions kept back, which can be told later to be those that were meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Digest
    questions: int = Field(ge=1)


class Signed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    file_name: ClassVar[str]
    purpose: ClassVar[bytes]  # so that no other thing that the key signs can be taken for this
    left_out: ClassVar[frozenset[str]] = frozenset()  # files that are nobody else's business

    files: Mapping[str, Digest]  # by path in the folder, with "/"
    public_key: str = ""
    signature: str = ""

    @property
    def digest(self) -> str:
        """Names exactly this content, whoever signed it."""
        return hashlib.sha256(self._content).hexdigest()

    @property
    def _content(self) -> bytes:
        content = self.model_dump(mode="json", exclude={"public_key", "signature"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return self.purpose + text.encode()

    def signed(self, key: SigningKey) -> Self:
        return self.model_copy(update={"public_key": key.public, "signature": key.sign(self._content)})

    def is_signed_by(self, public_key: str) -> bool:
        return has_signed(public_key, self.signature, self._content)

    @classmethod
    def digests(cls, folder: Path) -> dict[str, str]:
        """
        Raises:
            SetupError: there is something that is no file.
        """
        return digests_of(folder, without=cls.left_out | {cls.file_name})

    def write(self, folder: Path) -> None:
        draft = folder / f".{self.file_name}.draft"
        draft.write_text(json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(folder / self.file_name)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """
        Raises:
            SetupError: there is none, or it is not written like one.
        """
        file = folder / cls.file_name
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise SetupError(f"{file}: {place}: {first['msg']}.") from None


class Manifest(Signed):
    file_name = "manifest.json"
    purpose = b"fastchat-suite/1\n"

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    title: str = ""
    questions: int = Field(ge=1)
    categories: Mapping[str, int]
    hidden: Mapping[str, Hidden] = Field(default_factory=dict)


class Certificate(Signed):
    """That these are the results which the owner of the key got on that suite. That they are true, nobody can sign."""

    file_name = "certificate.json"
    purpose = b"fastchat-suite-results/1\n"
    left_out = frozenset({"costs.jsonl"})

    suite: str  # name and version, for people
    suite_digest: Digest
    fastchat_version: str


def digests_of(folder: Path, *, without: Collection[str]) -> dict[str, str]:
    """Of all files but those. Names that begin with a dot are left out, here and there.

    Raises:
        SetupError: there is something that is no file, such as a link, whose content another could change.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name in without or any(part.startswith(".") for part in name.split("/")):
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise SetupError(f"{path} is a link or a device. A suite is made of plain files and folders.")
        if path.is_file():
            digests[name] = sha256_of(path)
    return digests


def sha256_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
