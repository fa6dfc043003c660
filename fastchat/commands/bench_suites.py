"""`fastchat bench new`, `certify` and `verify`: questions of one's own; suites and results, signed against changes."""

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Settings, setting


class NewSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "where the questions shall stand", metavar="FOLDER", positional=True)


class CertifySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "the suite: suite.toml, question.jsonl, …", metavar="SUITE", positional=True)
    key: Path | None = setting(None, "private key of whoever signs; made if it is not there", metavar="FILE")
    results: Path | None = setting(None, "sign these results on the suite, not the suite", metavar="DIR")
    hidden: dict[str, Path] = setting({}, 'files of questions that are kept back, {"name": "path"}')


class VerifySettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "the suite", metavar="SUITE", positional=True)
    public_key: str | None = setting(None, "of whoever signed: 44 characters of base64")
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
    from fastchat.llm_judge.suites.signing import SigningKey

    folder = _given(settings.folder, "certify")
    if settings.key is None:
        raise SetupError("--key is missing: the file with the private key that signs; it is made if it is not there.")
    key = SigningKey.read(settings.key) if settings.key.exists() else SigningKey.create(settings.key)
    if settings.results is not None:
        certificate = certify_results(settings.results, folder, key)
        print(f"{settings.results}: results on {certificate.suite} ({certificate.suite_digest}), signed")
    else:
        manifest = certify(folder, key, hidden=settings.hidden)
        print(f"{folder}: {manifest.name} {manifest.version}, {manifest.questions} questions, signed")
    print(f"Public key, for those who verify: {key.public}")
    return 0


async def verify(settings: VerifySettings) -> int:
    """1 if something is wrong."""
    from fastchat.llm_judge.suites.certifying import verify, verify_results

    folder = _given(settings.folder, "verify")
    if settings.public_key is None:
        raise SetupError("--public-key is missing: the key of whom you trust, as its owner publishes it.")
    if settings.results is not None:
        problems = verify_results(settings.results, folder, settings.public_key)
    else:
        problems = verify(folder, settings.public_key)
    for problem in problems:
        print(f"wrong: {problem}")
    if not problems:
        print(f"{settings.results or folder}: as it was signed")
    return 1 if problems else 0


def _given(folder: Path | None, action: str) -> Path:
    if folder is None:
        raise SetupError(f"Which suite? fastchat bench {action} SUITE …")
    return folder
