import json
import shlex
import subprocess
from pathlib import Path

import pytest

from fastchat.arena.records import Ending, FilePart, Mode, Outcome, Sampling, Side, TextPart
from fastchat.web.curl import commands, origin_of, shell_block
from fastchat.web.settings import Parameters
from tests.web.scenes import answer, turn, view

URL = "https://api.example"


def body_of(command: str) -> dict[str, object]:
    words = shlex.split(command)
    body: dict[str, object] = json.loads(words[words.index("-d") + 1])
    return body


def test_the_command_holds_what_was_sent() -> None:
    """Whatever the sliders say by now."""
    turns = turn("one?", answer(text="<think>Hm.</think>one.")), turn("It's `two`?", answer(text="two."))
    shown = view(*turns, system="Be brief.", sampling=Sampling(0.2, 0.9, 64))
    (command,) = commands(shown, "", Parameters(1.5, 0.5, 16, "Be long."), URL, needs_key=False)
    assert body_of(command) == {
        "model": "tiny-chat",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one?"},
            {"role": "assistant", "content": "one."},
            {"role": "user", "content": "It's `two`?"},
        ],
        "temperature": 0.2,
        "top_p": 0.9,
        "max_tokens": 64,
        "stream": True,
    }


def test_an_arenas_own_system_message_stands_before_the_readers() -> None:
    shown = view(turn("one?", answer(text="one.")), system="Be brief.")
    (command,) = commands(shown, "", Parameters(), URL, "Be kind.", needs_key=False)
    (first, _) = body_of(command)["messages"]  # type: ignore[misc]
    assert first == {"role": "system", "content": "Be kind.\n\nBe brief."}


def test_a_turn_that_came_to_nothing_is_left_out() -> None:
    shown = view(turn("lost?", answer(ending=Ending.FAILED)), turn("again?", answer(text="yes")))
    (command,) = commands(shown, "", Parameters(), URL, needs_key=False)
    assert body_of(command)["messages"] == [{"role": "user", "content": "again?"}]


def test_before_a_question_it_greets_the_model_that_was_picked() -> None:
    (command,) = commands(None, "tiny-chat", Parameters(), URL, needs_key=False)
    assert body_of(command)["messages"] == [{"role": "user", "content": "Hello!"}]


def test_there_is_one_a_side_once_names_are_known_and_none_before() -> None:
    turns = turn("Hi", answer(Side.LEFT, text="l"), answer(Side.RIGHT, text="r"))
    voted = view(turns, mode=Mode.BATTLE, outcome=Outcome.TIE)
    assert [body_of(one)["model"] for one in commands(voted, "", Parameters(), URL, needs_key=False)] == [
        "osprey-7b", "plover-9b",
    ]  # fmt: skip
    assert commands(view(turns, mode=Mode.BATTLE), "", Parameters(), URL, needs_key=False) == []


def test_an_image_is_hinted_at() -> None:
    image = FilePart(type="image", file_id="f", media_type="image/png")
    shown = view(turn((image, TextPart(text="What?")), answer(text="A heron.")))
    (command,) = commands(shown, "", Parameters(), URL, needs_key=False)
    content = body_of(command)["messages"][0]["content"]  # type: ignore[index]
    assert [part["type"] for part in content] == ["image_url", "text"]


def test_a_shell_reads_it_as_it_was_meant(tmp_path: Path) -> None:
    shown = view(turn('It\'s $HOME, `id` and\n"quotes"', answer(text="ok")))
    (command,) = commands(shown, "", Parameters(), URL, needs_key=True)
    program = 'curl() { printf "%s\\0" "$@"; }\nFASTCHAT_API_KEY=secret\n' + command
    said = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    words = said.split("\0")
    assert "Authorization: Bearer secret" in words
    assert json.loads(words[words.index("-d") + 1])["messages"][0]["content"] == 'It\'s $HOME, `id` and\n"quotes"'


def test_the_fence_is_longer_than_any_inside() -> None:
    assert shell_block("echo '````'").startswith("`````bash\n")


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "page:7860"}, "http://page:7860"),
        ({"host": "a", "x-forwarded-proto": "https, http", "x-forwarded-host": "b.example, c"}, "https://b.example"),
    ],
)
def test_the_origin_is_the_browsers(headers: dict[str, str], origin: str) -> None:
    assert origin_of(headers) == origin
