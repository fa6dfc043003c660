import json
import shutil
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.questions import new_set
from fastchat.llm_judge.suites.certifying import certify, certify_results, verify, verify_hidden, verify_results
from fastchat.llm_judge.suites.coding import OURS
from fastchat.llm_judge.suites.known_keys import known_key
from fastchat.llm_judge.suites.manifests import Certificate, Manifest
from fastchat.llm_judge.suites.signing import SigningKey, has_signed


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.create(tmp_path / "key.pem")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "legal"
    (folder / "tables").mkdir(parents=True)
    (folder / "suite.toml").write_text('name = "legal"\nversion = "2.1"\nlicence = "CC-BY-4.0"\n')
    rows = [{"question_id": n, "category": "law" if n < 3 else "tax", "turns": [f"Question {n}?"]} for n in range(1, 5)]
    (folder / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tables" / "fees.csv").write_text("fee,1\n")
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "model_answer").mkdir(parents=True)
    write_answers(folder, [1, 2, 3, 4])
    return folder


def write_answers(folder: Path, questions: list[int]) -> None:
    rows = [
        {
            "question_id": n,
            "answer_id": f"a{n}",
            "model_id": "m",
            "choices": [{"index": 0, "turns": ["x"]}],
            "tstamp": 1,
        }
        for n in questions
    ]
    (folder / "model_answer" / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_manifest_tells_what_the_suite_is(suite: Path, key: SigningKey) -> None:
    manifest = certify(suite, key)

    assert (manifest.name, manifest.version, manifest.licence) == ("legal", "2.1", "CC-BY-4.0")
    assert (manifest.questions, manifest.categories) == (4, {"law": 2, "tax": 2})
    assert set(manifest.files) == {"suite.toml", "question.jsonl", "tables/fees.csv"}
    assert Manifest.read(suite) == manifest
    assert verify(suite, key.public) == ()


def test_our_suite_can_be_certified(tmp_path: Path, key: SigningKey) -> None:
    folder = shutil.copytree(OURS, tmp_path / "coding")

    assert certify(folder, key).questions >= 50
    assert verify(folder, key.public) == ()


def test_our_suite_is_as_it_was_signed() -> None:
    """If this fails: another version in suite.toml, then `python scripts/sign_suites.py`."""
    manifest = Manifest.read(OURS)
    public_key = known_key(manifest)

    assert public_key is not None
    assert verify(OURS, public_key) == ()


def test_a_key_that_a_manifest_names_itself_is_known_to_nobody(suite: Path, key: SigningKey) -> None:
    (suite / "suite.toml").write_text('name = "fastchat-coding"\nversion = "99"\nlicence = "x"\n')

    assert known_key(certify(suite, key)) is None


def test_a_new_set_can_be_signed_at_once(tmp_path: Path, key: SigningKey) -> None:
    new_set(tmp_path / "support")
    manifest = certify(tmp_path / "support", key)

    assert (manifest.name, manifest.questions) == ("support", 3)
    assert certify(tmp_path / "support", key) == manifest  # a manifest is none of the questions
    assert verify(tmp_path / "support", key.public) == ()


def test_digest_names_the_content_and_not_the_key(suite: Path, key: SigningKey, tmp_path: Path) -> None:
    first = certify(suite, key)
    again = certify(suite, SigningKey.create(tmp_path / "other.pem"))
    (suite / "tables" / "fees.csv").write_text("fee,2\n")

    assert again.digest == first.digest
    assert again.signature != first.signature
    assert certify(suite, key).digest != first.digest


def change_question(suite: Path) -> None:
    file = suite / "question.jsonl"
    file.write_text(file.read_text().replace("Question 2", "Question two"))


def claim(field: str, value: object) -> object:
    def change(suite: Path) -> None:
        manifest = json.loads((suite / "manifest.json").read_text())
        manifest[field] = value
        (suite / "manifest.json").write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (change_question, "question.jsonl was changed"),
        (lambda suite: (suite / "tables" / "fees.csv").unlink(), "tables/fees.csv is missing"),
        (lambda suite: (suite / "tables" / "more.csv").write_text(""), "tables/more.csv was added"),
        (claim("licence", "MIT"), "manifest.json is not signed with this key"),
        (claim("version", "2.2"), "manifest.json is not signed with this key"),
        (claim("questions", 5), "manifest.json is not signed with this key"),
        (claim("signature", "AAAA"), "manifest.json is not signed with this key"),
        (claim("signature", "no base64"), "manifest.json is not signed with this key"),
        (claim("author", "me"), "author: Extra inputs are not permitted"),
        (lambda suite: (suite / "manifest.json").unlink(), "cannot be read"),
    ],
)
def test_tampered_suite_is_found_out(suite: Path, key: SigningKey, tamper: object, finding: str) -> None:
    certify(suite, key)
    assert callable(tamper)
    tamper(suite)
    problems = verify(suite, key.public)

    assert len(problems) == 1
    assert finding in problems[0]


def test_tampered_suite_that_another_signed_again_is_found_out(suite: Path, key: SigningKey, tmp_path: Path) -> None:
    certify(suite, key)
    change_question(suite)
    certify(suite, SigningKey.create(tmp_path / "other.pem"))

    assert verify(suite, key.public) == ("manifest.json is not signed with this key",)


def test_hidden_questions_are_told_by_their_digest(suite: Path, key: SigningKey, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden.jsonl"
    hidden.write_text('{"question_id": 9, "turns": ["A secret?"]}\n')
    manifest = certify(suite, key, hidden={"test": hidden})

    assert manifest.hidden["test"].questions == 1
    assert "secret" not in (suite / "manifest.json").read_text()
    assert verify(suite, key.public) == ()
    assert verify_hidden(manifest, "test", hidden) == ()
    assert verify_hidden(manifest, "other", hidden) != ()
    hidden.write_text('{"question_id": 9, "turns": ["An easier one?"]}\n')
    assert verify_hidden(manifest, "test", hidden) == (
        "hidden.jsonl is not the file that the manifest promised as 'test'",
    )


def break_description(suite: Path) -> None:
    (suite / "suite.toml").write_text('name = "legal"\nversion = "2.1"\n')


def repeat_question(suite: Path) -> None:
    file = suite / "question.jsonl"
    file.write_text(file.read_text() * 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (break_description, "licence: Field required"),
        (repeat_question, "is taken by"),
        (lambda suite: (suite / "suite.toml").unlink(), "lines name, version and licence"),
        (lambda suite: (suite / "question.jsonl").write_text(""), "has 0 questions"),
        (lambda suite: (suite / "link").symlink_to("/etc/passwd"), "is a link or a device"),
    ],
)
def test_folder_that_is_no_suite_is_not_signed(suite: Path, key: SigningKey, spoil: object, message: str) -> None:
    assert callable(spoil)
    spoil(suite)

    with pytest.raises(SetupError, match=message):
        certify(suite, key)
    assert not (suite / "manifest.json").exists()


def test_hidden_questions_may_not_lie_in_the_suite(suite: Path, key: SigningKey) -> None:
    with pytest.raises(SetupError, match="Move it elsewhere"):
        certify(suite, key, hidden={"test": suite / "question.jsonl"})


def test_certified_results_name_their_suite(suite: Path, results: Path, key: SigningKey) -> None:
    manifest = certify(suite, key)
    certificate = certify_results(results, suite, key)

    assert (certificate.suite, certificate.suite_digest) == ("legal 2.1", manifest.digest)
    assert Certificate.read(results) == certificate
    assert verify_results(results, suite, key.public) == ()


def test_tampered_results_are_found_out(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    certify_results(results, suite, key)
    file = results / "model_answer" / "m.jsonl"
    file.write_text(file.read_text().replace('"x"', '"y"'))
    (results / "model_judgment").mkdir()
    (results / "model_judgment" / "j_single.jsonl").write_text("")

    assert verify_results(results, suite, key.public) == (
        "model_answer/m.jsonl was changed",
        "model_judgment/j_single.jsonl was added",
    )


def test_what_was_paid_is_not_certified(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    (results / "costs.jsonl").write_text('{"usd": 1}\n')
    certify_results(results, suite, key)
    (results / "costs.jsonl").unlink()

    assert verify_results(results, suite, key.public) == ()


def test_results_whose_questions_say_something_else_are_not_certified(
    suite: Path, results: Path, key: SigningKey
) -> None:
    certify(suite, key)
    shutil.copy(suite / "question.jsonl", results)
    change_question(results)

    with pytest.raises(SetupError, match="has other questions than the suite"):
        certify_results(results, suite, key)


def test_results_whose_checks_are_other_checks_are_not_certified(tmp_path: Path, key: SigningKey) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OURS, folder)
    (folder / "checks.jsonl").write_text((OURS / "checks.jsonl").read_text().replace("225", "226", 1))

    with pytest.raises(SetupError, match="has other checks than the suite"):
        certify_results(folder, OURS, key)


def test_results_on_another_suite_are_found_out(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    certify_results(results, suite, key)
    change_question(suite)
    assert verify_results(results, suite, key.public) == ("suite: question.jsonl was changed",)

    certify(suite, key)
    (problem,) = verify_results(results, suite, key.public)
    assert problem.startswith("the results are on legal 2.1")


def test_questions_left_out_are_told(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    write_answers(results, [1, 3])
    certify_results(results, suite, key)

    assert verify_results(results, suite, key.public) == ("m has no answer to 2 of 4 questions",)


def test_answers_to_other_questions_are_not_certified(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    write_answers(results, [1, 2, 3, 4, 99])

    with pytest.raises(SetupError, match="m has answers to questions that are not of this suite: 1"):
        certify_results(results, suite, key)


def test_results_on_a_changed_suite_are_not_certified(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)
    change_question(suite)

    with pytest.raises(SetupError, match=r"question\.jsonl was changed"):
        certify_results(results, suite, key)


def test_results_without_a_certificate_are_told(suite: Path, results: Path, key: SigningKey) -> None:
    certify(suite, key)

    (problem,) = verify_results(results, suite, key.public)
    assert "certificate.json cannot be read" in problem


def test_signature_of_a_manifest_is_none_of_a_certificate(key: SigningKey) -> None:
    fields = {"files": {}, "name": "a", "version": "1", "licence": "x", "questions": 1, "categories": {}}
    manifest = Manifest.model_validate(fields).signed(key)
    certificate = Certificate(files={}, suite="a 1", suite_digest=manifest.digest, fastchat_version="1")

    assert manifest.is_signed_by(key.public)
    assert not certificate.model_copy(update={"signature": manifest.signature}).is_signed_by(key.public)


def test_key_is_for_its_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    key = SigningKey.create(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert SigningKey.read(file).public == key.public
    assert has_signed(key.public, key.sign(b"x"), b"x")
    assert not has_signed(key.public, key.sign(b"x"), b"y")

    with pytest.raises(SetupError, match="there already"):
        SigningKey.create(file)
    assert list(tmp_path.iterdir()) == [file]
    file.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        SigningKey.read(file)


def test_what_is_no_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("hello")
    (tmp_path / "key.pem").chmod(0o600)

    with pytest.raises(SetupError, match="no Ed25519 private key"):
        SigningKey.read(tmp_path / "key.pem")
    with pytest.raises(SetupError, match="cannot be read"):
        SigningKey.read(tmp_path / "none.pem")
    with pytest.raises(SetupError, match="44 characters of base64"):
        has_signed("hello", "", b"")
