from dataclasses import replace
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.cache import Cache, cached, digest

CALL = Call("echo", [{"role": "user", "content": "Grüße"}], temperature=0, seed=0)


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, call: Call) -> Reply:
        self.calls += 1
        return Reply(f"{call.model} {self.calls}", 3, 2, "stop")


async def test_the_same_call_is_asked_once_also_by_another_process(tmp_path: Path) -> None:
    endpoint, cache = Counting(), Cache(tmp_path)
    ask = cached(endpoint, cache)
    first = await ask(CALL)
    assert await ask(CALL) == first
    assert await cached(endpoint, Cache(tmp_path))(CALL) == first
    assert endpoint.calls == 1
    assert (cache.hits, cache.misses) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, model="other"),
        replace(CALL, messages=[{"role": "user", "content": "grüße"}]),
        replace(CALL, messages=[{"role": "system", "content": "Grüße"}]),
        replace(CALL, temperature=0.7),
        replace(CALL, max_tokens=1),
        replace(CALL, seed=1),
        replace(CALL, schema={"type": "object"}),
        replace(CALL, extra={"top_p": 0.5}),
    ],
)
def test_every_field_counts(other: Call) -> None:
    assert digest(other) != digest(CALL)


def test_how_a_call_is_written_does_not_count() -> None:
    assert digest(replace(CALL, messages=({"content": "Grüße", "role": "user"},), temperature=0.0)) == digest(CALL)


async def test_a_damaged_file_is_named_and_what_to_do_said(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        await cached(Counting(), cache)(CALL)
    (tmp_path / "replies.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(SetupError, match=r"The cache .*replies.sqlite cannot be used: .*delete it"):
        Cache(tmp_path)


async def test_two_runs_share_a_folder_at_the_same_time(tmp_path: Path) -> None:
    with Cache(tmp_path) as one, Cache(tmp_path) as other:
        said = await cached(Counting(), one)(CALL)
        assert other.find(CALL) == said


async def test_asked_afresh_the_new_reply_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    endpoint, cache = Counting(), Cache(tmp_path)
    await cached(endpoint, cache)(CALL)
    await cached(endpoint, cache, afresh=True)(CALL)
    assert (await cached(endpoint, cache)(CALL)).text == "echo 2"
    assert endpoint.calls == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"The cache .*file.* cannot be used"):
        Cache(tmp_path / "file")
