"""What no retry mends, what is given up in the end, and fields that a model does not take: by the command."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.llm_judge.endpoint import Endpoint, serving
from tests.llm_judge.test_bench_command import rows, status_of

QUESTIONS = 30


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    file = tmp_path / "asked.jsonl"
    file.write_text("".join(json.dumps({"question_id": at, "turns": [f"{at}?"]}) + "\n" for at in range(QUESTIONS)))
    return file


def answering(_body: Mapping[str, Any]) -> str:
    return "Fine. [[6]]"


def refused(status: int, **error: object) -> web.HTTPException:
    kind = {401: web.HTTPUnauthorized, 403: web.HTTPForbidden, 404: web.HTTPNotFound, 400: web.HTTPBadRequest}[status]
    return kind(text=json.dumps({"error": {"message": "refused", "param": None, "code": None} | error}))


def line(action: str, asked: Path, endpoint: Endpoint | None, *more: str) -> list[str]:
    where = ["--questions", str(asked), "--output", str(asked.parent / "out")]
    served = [] if endpoint is None else ["--api-url", endpoint.url]
    return [action, *where, *served, "--parallel", "2", *more]


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("key", ["", "sk-own"])
async def test_a_model_that_refuses_is_asked_no_more_and_the_other_is(
    asked: Path, capsys: pytest.CaptureFixture[str], status: int, key: str
) -> None:
    def say(body: Mapping[str, Any]) -> str:
        if body["model"] == "bad":
            raise refused(status)
        return answering(body)

    async with serving(Endpoint(say, ("bad", "good"))) as endpoint:
        entry = {"api_base": f"{endpoint.url}/v1", "api_key": key or "Empty"}
        register = asked.parent / "endpoints.json"
        register.write_text(json.dumps({name: entry | {"model_name": name} for name in ("bad", "good")}))
        reached = ["--models", "bad,good", "--register", str(register)]
        assert await status_of(line("answer", asked, None, *reached)) == 1
        assert sum("bad" in body for body in endpoint.asked) <= 2  # no more than were on their way
    out = asked.parent / "out"
    assert len(rows(out / "model_answer" / "good.jsonl")) == QUESTIONS
    assert not (out / "answer_failures").exists()
    assert f"bad is not asked any more; left of what was to ask: {QUESTIONS}." in capsys.readouterr().err


async def test_a_judge_that_refuses_the_key_leaves_no_failure_behind(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(body: Mapping[str, Any]) -> str:
        if body["model"] == "judge":
            raise refused(401, message="no such key")
        return answering(body)

    async with serving(Endpoint(say, ("m", "judge"))) as endpoint:
        assert await status_of(line("answer", asked, endpoint, "--models", "m")) == 0
        before = endpoint.calls
        assert await status_of(line("judge", asked, endpoint, "--judge", "judge")) == 1
        assert endpoint.calls - before <= 2
    assert not list((asked.parent / "out" / "model_judgment").glob("*"))
    assert f"judge is not asked any more; left of what was to ask: {QUESTIONS}. no such key" in capsys.readouterr().err


async def test_a_judge_that_cannot_be_read_is_given_up_after_so_many_attempts(
    asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(body: Mapping[str, Any]) -> str:
        return "…" if body["model"] == "judge" and "\n7?" in body["messages"][-1]["content"] else answering(body)

    async with serving(Endpoint(say, ("m", "judge"))) as endpoint:
        assert await status_of(line("answer", asked, endpoint, "--models", "m")) == 0
        judging = line("judge", asked, endpoint, "--judge", "judge", "--attempts", "2", "--max-attempts", "4")
        failures = asked.parent / "out" / "model_judgment" / "judge_failures.jsonl"
        statuses, attempts, calls = [], [], []
        for more in ([], [], [], ["--retry-failed"]):
            before = endpoint.calls
            statuses.append(await status_of([*judging, *more]))
            attempts.append([row["attempts"] for row in rows(failures)])
            calls.append(endpoint.calls - before)
            said = capsys.readouterr().err
            assert ("Nothing is left to ask" in said) == (len(calls) == 3)
            assert ("not asked for any more: 1." in said) == (len(calls) in (2, 3))
    assert attempts == [[2], [4], [4], [6]]
    assert calls == [QUESTIONS + 1, 2, 0, 2]
    assert statuses == [1, 0, 0, 1]


def picky(unknown: Mapping[str, str]) -> Callable[[Mapping[str, Any]], str]:
    """A server that takes these fields not at all, by the code of its refusal."""

    def say(body: Mapping[str, Any]) -> str:
        for name, code in unknown.items():
            if name in body:
                raise refused(400, message=f"{name} is not supported", param=name, code=code)
        return answering(body)

    return say


async def test_fields_that_a_model_does_not_take_are_learned_from_its_refusals(asked: Path) -> None:
    unknown = {"max_tokens": "unsupported_parameter", "temperature": "unsupported_value"}
    async with serving(Endpoint(picky(unknown), ("m",))) as endpoint:
        assert await status_of(line("answer", asked, endpoint, "--models", "m", "--max-tokens", "77")) == 0
        bodies = [json.loads(body) for body in endpoint.asked]
    taken = [body for body in bodies if not body.keys() & unknown.keys()]
    assert len(taken) == QUESTIONS
    assert {body["max_completion_tokens"] for body in taken} == {77}
    assert len(bodies) <= QUESTIONS + 2 * 2  # those that were on their way


@pytest.mark.parametrize("field", ["messages", "max_completion_tokens"])
async def test_what_cannot_be_left_out_is_a_failure(asked: Path, field: str) -> None:
    unknown = {field: "unsupported_parameter", "max_tokens": "unsupported_parameter"}
    async with serving(Endpoint(picky(unknown), ("m",))) as endpoint:
        assert await status_of(line("answer", asked, endpoint, "--models", "m", "--first-n", "1")) == 1
    (failure,) = rows(asked.parent / "out" / "answer_failures" / "m.jsonl")
    assert failure["reason"] == f"{field} is not supported"
