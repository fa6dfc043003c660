"""Signs suites and results on them, and finds what was changed afterwards."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_rows
from fastchat.llm_judge.questions import read_questions
from fastchat.llm_judge.records import Answer
from fastchat.llm_judge.suites.manifests import Certificate, Hidden, Manifest, Signed, sha256_of
from fastchat.llm_judge.suites.signing import SigningKey

_DESCRIPTION = "suite.toml"


class _Description(BaseModel):
    """suite.toml, written by the people who made the suite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    title: str = ""


def certify(folder: Path, key: SigningKey, *, hidden: Mapping[str, Path] | None = None) -> Manifest:
    """Writes the folder's manifest. Files of `hidden` questions, which lie elsewhere, are named by their digest only.

    Raises:
        SetupError: suite.toml or the questions are missing or wrong, or a hidden file lies in the folder.
    """
    description = _read_description(folder / _DESCRIPTION)
    questions = read_questions(folder).questions
    manifest = Manifest(
        **description.model_dump(),
        files=Manifest.digests(folder),
        questions=len(questions),
        categories=dict(sorted(Counter(question.category for question in questions).items())),
        hidden={name: _hide(folder, file) for name, file in (hidden or {}).items()},
    ).signed(key)
    manifest.write(folder)
    return manifest


def describe(folder: Path) -> str:
    """Name and version, as suite.toml has them.

    Raises:
        SetupError: there is none, or it is wrong.
    """
    description = _read_description(folder / _DESCRIPTION)
    return f"{description.name} {description.version}"


def verify(folder: Path, public_key: str) -> tuple[str, ...]:
    """What is wrong with a suite, a sentence each; nothing if it is what the owner of `public_key` signed.

    Raises:
        SetupError: `public_key` is none, or the suite has links.
    """
    return tuple(_verify(Manifest, folder, public_key))


def verify_hidden(manifest: Manifest, name: str, file: Path) -> tuple[str, ...]:
    """Whether `file` has the hidden questions that the manifest promised under this name."""
    promised = manifest.hidden.get(name)
    if promised is None:
        return (f"the manifest promises no hidden questions {name!r}",)
    if sha256_of(file) != promised.sha256:
        return (f"{file.name} is not the file that the manifest promised as {name!r}",)
    return ()


def certify_results(results: Path, suite: Path, key: SigningKey) -> Certificate:
    """Signs a folder of results (model_answer/, model_judgment/ …), and names the suite by its digest.

    Raises:
        SetupError: the suite differs from its manifest, or the results are not on it.
    """
    manifest = Manifest.read(suite)
    if problems := (*_changes(manifest, suite), *_other_questions(results, suite), *_foreign_answers(results, suite)):
        raise SetupError(f"{results} is not certified: {'; '.join(problems)}.")
    certificate = Certificate(
        files=Certificate.digests(results),
        suite=f"{manifest.name} {manifest.version}",
        suite_digest=manifest.digest,
        fastchat_version=__version__,
    ).signed(key)
    certificate.write(results)
    return certificate


def verify_results(results: Path, suite: Path, public_key: str) -> tuple[str, ...]:
    """What is wrong with certified results, a sentence each: changed files, another suite, questions left out.

    The suite itself is compared with its manifest, whose signature is `verify`'s to check, with its maker's key.

    Raises:
        SetupError: `public_key` is none, or a folder has links.
    """
    problems = list(_verify(Certificate, results, public_key))
    try:
        manifest, certificate = Manifest.read(suite), Certificate.read(results)
        problems += [f"suite: {problem}" for problem in _changes(manifest, suite)]
        if certificate.suite_digest != manifest.digest:
            problems.append(
                f"the results are on {certificate.suite} ({certificate.suite_digest[:12]}), "
                f"and the suite given is {manifest.name} {manifest.version} ({manifest.digest[:12]})"
            )
        problems += _other_questions(results, suite)
        problems += _foreign_answers(results, suite)
        problems += _unanswered(results, suite)
    except SetupError as error:
        if error.message not in problems:
            problems.append(error.message)
    return tuple(problems)


def _verify(kind: type[Signed], folder: Path, public_key: str) -> Iterator[str]:
    try:
        signed = kind.read(folder)
    except SetupError as error:
        yield error.message
        return
    if not signed.is_signed_by(public_key):
        yield f"{kind.file_name} is not signed with this key"
    yield from _changes(signed, folder)


def _changes(signed: Signed, folder: Path) -> Iterator[str]:
    found = signed.digests(folder)
    for name in sorted(signed.files.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in signed.files:
            yield f"{name} was added"
        elif found[name] != signed.files[name]:
            yield f"{name} was changed"


def _answers(results: Path) -> Iterator[tuple[str, set[int | str]]]:
    for file in sorted((results / "model_answer").glob("*.jsonl")):
        yield file.stem, {answer.question_id for answer in read_rows(file, Answer)}


def _other_questions(results: Path, suite: Path) -> Iterator[str]:
    """What a run keeps of its questions and checks, which may be written anew but has to say the same."""
    kept = results / "question.jsonl"
    if kept.is_file() and read_questions(kept).sha256 != read_questions(suite).sha256:
        yield f"{kept.name} has other questions than the suite"
    checks = results / "checks.jsonl"
    if checks.is_file() and sha256_of(checks) != sha256_of(suite / checks.name):
        yield f"{checks.name} has other checks than the suite"


def _asked(suite: Path) -> set[int | str]:
    return {question.question_id for question in read_questions(suite).questions}


def _foreign_answers(results: Path, suite: Path) -> Iterator[str]:
    asked = _asked(suite)
    for model, answered in _answers(results):
        if foreign := answered - asked:
            yield f"{model} has answers to questions that are not of this suite: {len(foreign)}"


def _unanswered(results: Path, suite: Path) -> Iterator[str]:
    asked = _asked(suite)
    for model, answered in _answers(results):
        if missing := asked - answered:
            yield f"{model} has no answer to {len(missing)} of {len(asked)} questions"


def _read_description(file: Path) -> _Description:
    try:
        return _Description.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise SetupError(
            f"{file} cannot be read: {error.strerror or error}. It has the lines name, version and licence."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SetupError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def _hide(folder: Path, file: Path) -> Hidden:
    if file.resolve().is_relative_to(folder.resolve()):
        raise SetupError(f"{file} is to be hidden, and lies in the suite's folder. Move it elsewhere.")
    return Hidden(sha256=sha256_of(file), questions=len(read_questions(file).questions))
