"""`fastchat bench new`, `certify` and `verify`: questions of one's own; suites and results, signed against changes."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.llm_judge.suites.signing import SigningKey


class NewSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "where the questions shall stand", metavar="FOLDER", positional=True)


class CertifySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: str | None = setting(
        None,
        "the suite: a folder with suite.toml and questions; with --results also one of ours by name",
        metavar="SUITE",
        positional=True,
    )
    key: Path | None = setting(None, "private key of whoever signs; made if it is not there", metavar="FILE")
    results: Path | None = setting(None, "sign these results on the suite, not the suite", metavar="DIR")
    hidden: dict[str, Path] = setting({}, 'files of questions that are kept back, {"name": "path"}')


class VerifySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: str | None = setting(
        None, "the suite: a folder, or the name of one of ours", metavar="SUITE", positional=True
    )
    public_key: str | None = setting(
        None, "of whoever signed: 44 characters of base64 (default: of our suites, the one that came with them)"
    )
    results: Path | None = setting(None, "check these results on the suite, not the suite", metavar="DIR")


async def new(settings: NewSettings) -> int:
    if settings.folder is None:
        raise SetupError("Which folder? fastchat bench new FOLDER")
    from fastchat.llm_judge.questions import new_set

    for file in new_set(settings.folder):
        print(f"{file}: written")
    print(f"Change them, then: fastchat bench run --questions {settings.folder} --judge MODEL --output DIR")
    return 0


async def certify(settings: CertifySettings) -> int:
    from fastchat.llm_judge.suites.certifying import certify, certify_results

    suite = _given(settings.folder, "certify")
    folder = Path(suite) if settings.results is None else _place(suite)
    if settings.key is None:
        raise SetupError("--key is missing: the file with the private key that signs; it is made if it is not there.")
    key = _key(settings.key, settings.results or folder)
    if settings.results is not None:
        certificate = certify_results(settings.results, folder, key)
        print(f"{settings.results}: results on {certificate.suite} ({certificate.suite_digest}), signed")
    else:
        manifest = certify(folder, key, hidden=settings.hidden)
        print(f"{folder}: {manifest.name} {manifest.version}, {manifest.questions} questions, signed")
    print(f"Public key, for those who verify: {key.public}")
    return 0


def _key(file: Path, signed: Path) -> "SigningKey":
    from fastchat.llm_judge.suites.signing import SigningKey

    if not signed.is_dir():
        raise SetupError(f"There is no folder {signed} to sign.")
    if file.resolve().is_relative_to(signed.resolve()):
        raise SetupError(f"{file} is the private key, and lies in the folder that others shall get. Keep it elsewhere.")
    return SigningKey.read(file) if file.exists() else SigningKey.create(file)


async def verify(settings: VerifySettings) -> int:
    """1 if something is wrong."""
    from fastchat.llm_judge.suites.certifying import verify, verify_results

    folder = _place(_given(settings.folder, "verify"))
    public_key = settings.public_key or _known_key(folder, settings.results)
    if settings.results is not None:
        problems = verify_results(settings.results, folder, public_key)
    else:
        problems = verify(folder, public_key)
    for problem in problems:
        print(f"wrong: {problem}")
    if not problems:
        print(f"{settings.results or folder}: as it was signed by {public_key}")
    return 1 if problems else 0


def _known_key(suite: Path, results: Path | None) -> str:
    """
    Raises:
        SetupError: nobody but the signer can say whose key it was.
    """
    from fastchat.llm_judge.suites.known_keys import known_key
    from fastchat.llm_judge.suites.manifests import Certificate, Manifest

    signed = Manifest.read(suite) if results is None else Certificate.read(results)
    public = known_key(signed) if isinstance(signed, Manifest) else None
    if public is None:
        raise SetupError(
            f"--public-key is missing: the key of whom you trust. {signed.file_name} names "
            f"{signed.public_key or 'none'}, which anybody can write there: compare it with what its owner publishes "
            "elsewhere, and give that."
        )
    return public


def _given(suite: str | None, action: str) -> str:
    if suite is None:
        raise SetupError(f"Which suite? fastchat bench {action} SUITE …")
    return suite


def _place(suite: str) -> Path:
    from fastchat.llm_judge.questions import folder_of

    return folder_of(suite)
