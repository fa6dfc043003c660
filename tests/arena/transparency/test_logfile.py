"""An exported log can be checked offline, by us or by anybody, and errors say the line."""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.transparency.findings import Finding
from fastchat.arena.transparency.leaves import StoredLeaf
from fastchat.arena.transparency.logfile import read_head, read_log_key, verify_file, write_log
from fastchat.core.errors import SetupError
from tests.arena.transparency.example import ExampleLog

LOG = ExampleLog()  # only read


def exported(log: ExampleLog = LOG) -> list[bytes]:
    file = io.BytesIO()
    write_log(file, log.key, log.leaves, log.heads)
    return file.getvalue().splitlines(keepends=True)


def saved(folder: Path, lines: list[bytes]) -> Path:
    file = folder / "votes.jsonl"
    file.write_bytes(b"".join(lines))
    return file


def test_an_exported_log_is_valid(tmp_path: Path) -> None:
    file = saved(tmp_path, exported())
    verdict = verify_file(file, LOG.key, receipts=[LOG.receipt(5)], saved_heads=LOG.heads)
    assert verdict.is_valid, verdict.problems
    assert (verdict.leaves, verdict.heads, verdict.signed_size) == (10, 4, 10)
    assert read_log_key(file).raw == LOG.key.raw


def test_an_empty_log_is_a_file_too(tmp_path: Path) -> None:
    log = ExampleLog(())
    assert len(exported(log)) == 2
    assert verify_file(saved(tmp_path, exported(log)), log.key).is_valid


def test_another_program_can_check_it_with_nothing_of_ours() -> None:
    lines = exported()
    public = base64.b64decode(json.loads(lines[0])["public_key"])
    hashes = [
        hashlib.sha256(b"\0" + line.partition(b'"leaf":')[2][:-2]).digest() for line in lines if b'"leaf":' in line
    ]

    def root(hashes: list[bytes]) -> bytes:
        if len(hashes) == 1:
            return hashes[0]
        cut = 1 << ((len(hashes) - 1).bit_length() - 1)
        return hashlib.sha256(b"\1" + root(hashes[:cut]) + root(hashes[cut:])).digest()

    for head in (json.loads(line)["head"] for line in lines if line.startswith(b'{"head"')):
        assert root(hashes[: head["tree_size"]]).hex() == head["root_hash"]
        signed = json.dumps(
            {name: head[name] for name in ("log_id", "root_hash", "signed_at", "tree_size")}, separators=(",", ":")
        )
        message = b"fastchat-vote-log/1 tree head\n" + signed.encode()
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(head["signature"]), message)
        assert hashlib.sha256(public).hexdigest() == head["log_id"]


# Line 1 is the header, 2 a leaf, 3 its head, 4 to 6 leaves, 7 their head, 8 to 11 leaves; 16 is the end.
@pytest.mark.parametrize(
    ("number", "line", "said"),
    [
        (4, b'{"index":1,"leaf":{"arena":"main"}}\n', "leaf.vote_id: Field required"),
        (4, b'{"index":1,"lea\n', "line 4: Invalid JSON"),
        (4, b"\xff\xfe\n", "line 4: Invalid JSON"),
        (4, b"\n", "line 4: Invalid JSON"),
        (4, b"[]\n", "line 4"),
        (4, b'{"index":1}\n', "it has index"),
        (4, b"{}\n", "it has nothing"),
        (4, b'{"note":1}\n', "note"),
        (4, b"[" * 100_000 + b"\n", "line 4"),
        (4, b'{"index":' + b"9" * 5000 + b"}\n", "line 4"),
        (4, exported()[3].replace(b'"version":1', b'"version":2'), "version"),
        (4, exported()[3].replace(b'"main"', b'"main","extra":1'), "extra"),
        (4, exported()[3].replace(b"1790000010.25", b"1e999"), "cast_at"),
        (4, exported()[3].replace(b"0.25,", b"0,"), "probability is 0"),
        (4, b" " * (1 << 20) + b"\n", "longer than any line"),
        (1, b'{"format":"fastchat-vote-log/9"}\n', "format"),
        (1, b"votes\n", "not the beginning of a vote log"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, number: int, line: bytes, said: str) -> None:
    lines = exported()
    lines[number - 1] = line
    problem = verify_file(saved(tmp_path, lines), LOG.key).problems[0]
    assert (problem.finding, problem.line) == (Finding.UNREADABLE_LINE, number)
    assert said in problem.message


@pytest.mark.parametrize(
    ("spoil", "found", "line"),
    [
        (lambda lines: lines.pop(4), Finding.MISSING_LEAF, 5),
        (lambda lines: lines.insert(4, lines[3]), Finding.MISPLACED_LEAF, 5),
        (lambda lines: lines.insert(8, lines.pop(6)), Finding.MISPLACED_HEAD, 9),
        (lambda lines: lines.__setitem__(3, lines[3].replace(b"smol", b"tiny")), Finding.HEAD_MISMATCH, 7),
        (lambda lines: lines.__setitem__(6, lines[6].replace(b'"tree_size":4', b'"tree_size":5')), "bad_signature", 7),
        (lambda lines: lines.insert(8, lines[2]), Finding.SHRUNK_LOG, 9),
    ],
)
def test_a_spoiled_file_is_told_by_its_line(
    tmp_path: Path, spoil: Callable[[list[bytes]], object], found: str, line: int
) -> None:
    lines = exported()
    spoil(lines)
    problem = verify_file(saved(tmp_path, lines), LOG.key).problems[0]
    assert (problem.finding, problem.line) == (found, line)


@pytest.mark.parametrize(
    "cut", [lambda lines: lines[:-1], lambda lines: lines[:8], lambda lines: [*lines[:-2], lines[-2][:40]]]
)
def test_a_file_that_was_cut_off_says_so(tmp_path: Path, cut: Callable[[list[bytes]], list[bytes]]) -> None:
    assert Finding.CUT_OFF in verify_file(saved(tmp_path, cut(exported())), LOG.key).found


def test_an_end_that_counts_otherwise_says_so(tmp_path: Path) -> None:
    lines = [*exported()[:-3], exported()[-1]]
    message = verify_file(saved(tmp_path, lines), LOG.key).problems[0].message
    assert message == "the end counts 10 leaves and 4 heads; 9 and 3 are here"


def test_nothing_may_stand_behind_the_end(tmp_path: Path) -> None:
    problem = verify_file(saved(tmp_path, [*exported(), exported()[3]]), LOG.key).problems[0]
    assert (problem.finding, problem.line) == (Finding.UNREADABLE_LINE, 17)


def test_the_key_in_the_file_is_not_believed(tmp_path: Path) -> None:
    forged = ExampleLog(vote=lambda at: replace(LOG.receipt(at).leaf, outcome="tievote"), seed=2)
    verdict = verify_file(saved(tmp_path, exported(forged)), LOG.key)
    assert verdict.found[Finding.FOREIGN_LOG] == 1
    assert verdict.found[Finding.BAD_SIGNATURE] == 4
    assert verdict.signed_size == 0


def test_what_others_kept_is_held_against_a_file(tmp_path: Path) -> None:
    other = ExampleLog(vote=lambda at: replace(LOG.receipt(at).leaf, outcome="tievote"))
    file = saved(tmp_path, exported(other))
    assert verify_file(file, LOG.key).is_valid
    assert verify_file(file, LOG.key, saved_heads=LOG.heads).found == {Finding.OTHER_HISTORY: 4}
    assert Finding.NOT_IN_LOG in verify_file(file, LOG.key, receipts=[LOG.receipt(5)]).found


@settings(deadline=None, max_examples=300)
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_no_bit_of_a_file_can_be_flipped(at: int, bit: int) -> None:
    content = bytearray(b"".join(exported()))
    content[at % len(content)] ^= 1 << bit
    with TemporaryDirectory() as folder:
        verdict = verify_file(saved(Path(folder), [bytes(content)]), LOG.key)
    # Hex digits may be capitals, and mean the same.
    assert not verdict.is_valid or bytes(content).lower() == b"".join(exported()).lower()


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from(exported()), st.just(b"\n"), st.just(b'{"index":3}')),
        max_size=12,
    )
)
def test_whatever_a_file_holds_there_is_a_verdict(parts: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        verdict = verify_file(saved(Path(folder), parts), LOG.key, receipts=[LOG.receipt(5)])
    assert not verdict.is_valid


def test_a_damaged_vote_is_not_exported_as_if_it_were_none() -> None:
    leaves = [LOG.leaves[0], StoredLeaf(1, None, None, "probability is -1.0")]
    with pytest.raises(SetupError, match=r"index 1 cannot be exported: probability is -1\.0"):
        write_log(io.BytesIO(), LOG.key, leaves, [])


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    for read in (lambda path: verify_file(path, LOG.key), read_log_key, read_head):
        with pytest.raises(SetupError, match=r"none\.jsonl cannot be read"):
            read(tmp_path / "none.jsonl")


def test_the_key_of_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"votes\.jsonl:1 is not the beginning"):
        read_log_key(saved(tmp_path, [b"{}\n"]))
    header = {"format": "fastchat-vote-log/1", "log_id": "00" * 32, "public_key": "?"}
    with pytest.raises(SetupError, match="not the public key"):
        read_log_key(saved(tmp_path, [json.dumps(header).encode()]))


def test_a_saved_head_is_read(tmp_path: Path) -> None:
    file = tmp_path / "head.json"
    file.write_text(json.dumps(LOG.heads[2].as_json(), indent=1))
    assert read_head(file) == LOG.heads[2]
    file.write_text('{"tree_size": 3}')
    with pytest.raises(SetupError, match="root_hash"):
        read_head(file)
