"""Models of the Hugging Face hub, fetched into its own cache, where every program that knows the hub finds them.

The library `huggingface_hub` does the fetching: several files at a time, a broken connection taken up where it broke,
finished files kept. Ours is which files are wanted, that what came is what the hub says, and errors one can act on.
HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_OFFLINE mean what they always do.
"""

import errno
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.model.manifest import file_sum
from fastchat.model.shards import weight_files

_HUB_NAME = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*?)(:(?P<file>[^@:]+))?(@(?P<revision>[\w./-]+))?")
_FILES = (".gguf", ".safetensors", ".bin", ".jinja", ".json", ".yaml")
_PREFERRED_QUANTIZATION = "Q4_K_M"  # what llama.cpp and others take when nobody says
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ABOUT = (".json", ".jinja", ".model", ".txt", ".py", ".tiktoken")
_SUBFOLDERS = ("additional_chat_templates", "1_Pooling", "2_Dense", "2_Normalize", "3_Normalize")


@dataclass(frozen=True, slots=True)
class HubName:
    """`org/model`, `org/model:file.gguf` or `org/model:Q4_K_M`, each with `@revision` or without."""

    repo: str
    file: str | None = None
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubName | None":
        """None where it cannot be a name on the hub, such as the path of a file."""
        match = _HUB_NAME.fullmatch(text)
        if match is None or (match["repo"].endswith(_FILES) and not match["file"]):
            return None
        return cls(match["repo"], match["file"], match["revision"])

    def __str__(self) -> str:
        return self.repo + (f":{self.file}" if self.file else "") + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    name: str
    size: int
    sha256: str | None  # known of large files


@dataclass(frozen=True, slots=True)
class Pulled:
    path: Path
    revision: str  # the commit
    files: int
    nbytes: int
    fetched_bytes: int  # not in the cache before


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub and a cache; both are those of the environment unless given."""

    endpoint: str | None = None
    cache: Path | None = None

    def locate(self, name: HubName, revision: str = "main") -> Path | None:
        """Where the model lies in the cache; None if it is not there, or not all of it. Asks nobody."""
        folder = self._cached(name, revision)
        if folder is None:
            return None
        if not name.file and _has_all_weights(folder):
            return folder
        ggufs = [str(file.relative_to(folder)) for file in folder.rglob("*.gguf")]
        try:
            first = _choose_gguf(name, ggufs)[0]
        except SetupError:
            return None
        parts = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})\.gguf", first)
        is_whole = parts is None or len(list(folder.glob(f"{parts[1]}-*-of-{parts[2]}.gguf"))) == int(parts[2])
        return folder / first if is_whole else None

    def pull(self, name: HubName, revision: str = "main") -> Pulled:
        """Fetch what is missing.

        Raises:
            SetupError: the hub or the model is not to be had, the disk is full, or what came is not what it should be.
        """
        from huggingface_hub import HfApi, snapshot_download

        wanted = name.revision or revision
        with _hub_errors(name, wanted, self._endpoint):
            info = HfApi(endpoint=self.endpoint).model_info(name.repo, revision=wanted, files_metadata=True)
            files = [_remote_file(sibling) for sibling in info.siblings or ()]
            chosen = choose_files(name, files)
            folder = self._folder(name) / "snapshots" / str(info.sha)
            missing = [file for file in chosen if not (folder / file.name).exists()]
            self._check_room(name, sum(file.size for file in missing))
            # Weights last: where they are whole, everything is.
            for group in _by_turns(chosen):
                snapshot_download(
                    name.repo,
                    revision=wanted,
                    endpoint=self.endpoint,
                    cache_dir=self.cache,
                    allow_patterns=[_literally(file.name) for file in group],
                )
        for file in missing:
            _verify(folder / file.name, file)
        gguf = next((file.name for file in chosen if file.name.endswith(".gguf")), None)
        path = folder / gguf if gguf else folder
        sizes = sum(file.size for file in chosen), sum(file.size for file in missing)
        return Pulled(path, str(info.sha), len(chosen), *sizes)

    @property
    def _endpoint(self) -> str:
        from huggingface_hub import constants

        return self.endpoint or constants.ENDPOINT

    def _folder(self, name: HubName) -> Path:
        from huggingface_hub import constants

        return Path(self.cache or constants.HF_HUB_CACHE) / f"models--{name.repo.replace('/', '--')}"

    def _cached(self, name: HubName, revision: str) -> Path | None:
        wanted, folder = name.revision or revision, self._folder(name)
        reference = folder / "refs" / wanted
        commit = reference.read_text().strip() if reference.is_file() else wanted
        snapshot = folder / "snapshots" / commit
        return snapshot if _COMMIT.fullmatch(commit) and snapshot.is_dir() else None

    def _check_room(self, name: HubName, needed: int) -> None:
        place = self._folder(name)
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < needed:
            raise SetupError(
                f"{name} takes {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free at {place}. "
                "Make room, or put the cache elsewhere with HF_HOME; what is there already is kept."
            )


def _has_all_weights(folder: Path) -> bool:
    try:
        return bool(weight_files(folder))
    except SetupError:
        return (folder / "adapter_model.safetensors").is_file() or (folder / "adapter_model.bin").is_file()


def choose_files(name: HubName, files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """What an engine needs: weights in one format, and what belongs to them; weights last.

    Raises:
        SetupError: there are none, or several models and none was named.
    """
    names = {file.name: file for file in files}
    top = [file for file in files if "/" not in file.name]
    formats = [
        [file for file in top if file.name.endswith(".safetensors") and not file.name.startswith("consolidated")],
        [file for file in top if re.fullmatch(r"(pytorch|adapter)_model.*\.bin", file.name)],
    ]
    ggufs = [file.name for file in files if file.name.endswith(".gguf")]
    if name.file or (ggufs and not any(formats)):
        return [names[part] for part in _choose_gguf(name, ggufs)]
    weights = next((group for group in formats if group), None)
    if weights is None:
        raise SetupError(f"{name} holds no weights as safetensors, .bin or GGUF. It has: {_some(list(names))}.")
    return [*(file for file in files if _is_about(file.name)), *weights]


def _choose_gguf(name: HubName, ggufs: Sequence[str]) -> list[str]:
    """The parts of one model in their order."""
    models: dict[str, list[str]] = {}
    for file in sorted(ggufs):
        if not PurePosixPath(file).name.startswith("mmproj"):
            models.setdefault(re.sub(r"-\d{5}-of-\d{5}(?=\.gguf$)", "", file), []).append(file)
    if name.file:
        wanted = name.file.lower()
        found = [parts for model, parts in models.items() if name.file in (model, *parts)]
        found = found or [parts for model, parts in models.items() if _has_word(model.lower(), wanted)]
    elif len(models) == 1:
        found = list(models.values())
    else:
        found = [parts for model, parts in models.items() if _has_word(model, _PREFERRED_QUANTIZATION)]
    if len(found) != 1:
        which = f"{len(found)} models fit" if found else "there is none"
        raise SetupError(
            f"{name}: {which}. Name a file or its quantisation, as {name.repo}:FILE. There are: {_some(list(models))}."
        )
    return found[0]


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9_])", text) is not None


def _is_about(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return file.endswith(_ABOUT) and not file.startswith(".") and (not folder or folder in _SUBFOLDERS)


def _by_turns(files: Sequence[RemoteFile]) -> Iterator[list[RemoteFile]]:
    weights = [file for file in files if file.name.endswith((".safetensors", ".bin", ".gguf"))]
    others = [file for file in files if file not in weights]
    yield from (group for group in (others, weights) if group)


def _literally(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _remote_file(sibling: Any) -> RemoteFile:  # Any: the library's RepoSibling has optional fields throughout
    large = sibling.lfs
    return RemoteFile(sibling.rfilename, sibling.size or 0, large.sha256 if large else None)


def _verify(file: Path, remote: RemoteFile) -> None:
    if remote.sha256 is None or file_sum(file) == remote.sha256:
        return
    file.resolve().unlink()
    file.unlink(missing_ok=True)
    raise SetupError(f"{remote.name} came with another SHA-256 than the hub names. It was removed; pull again.")


@contextmanager
def _hub_errors(name: HubName, revision: str, endpoint: str) -> Iterator[None]:
    import httpx2  # what huggingface_hub calls the hub with
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise SetupError(
            f"{name.repo} is open only to those who have accepted its terms. Accept them at {endpoint}/{name.repo}, "
            "then set HF_TOKEN to a token of yours, or run: hf auth login"
        ) from None
    except errors.RevisionNotFoundError:
        raise SetupError(f"{name.repo} has no branch, tag or commit {revision!r}.") from None
    except errors.RepositoryNotFoundError:
        raise SetupError(
            f"There is no model {name.repo!r} at {endpoint}, or it is private. Check the spelling; for a private one "
            "set HF_TOKEN. A folder on this machine is written with its path, such as ./folder."
        ) from None
    except errors.HfHubHTTPError as error:
        raise SetupError(
            f"{endpoint} answered {error.response.status_code} for {name.repo}. Try again; what came is kept."
        ) from None
    except errors.OfflineModeIsEnabled:
        raise SetupError(
            f"{name.repo} is not in the cache, and HF_HUB_OFFLINE keeps us from fetching it. "
            f"With a network, run: fastchat pull {name}"
        ) from None
    except (httpx2.HTTPError, errors.LocalEntryNotFoundError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise SetupError(
            f"{endpoint} cannot be reached for {name.repo}: {reason}. Check the network, or HF_ENDPOINT; "
            "what came is kept."
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(f"The disk is full. Make room or set HF_HOME, and pull {name} again.") from None
        raise SetupError(f"{name.repo} did not come whole: {error}. Pull again.") from None


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"
