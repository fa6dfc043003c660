"""The request as a curl command."""

import json
import shlex

import pytest

from fastchat.web.answering import Question
from fastchat.web.curl import curl, origin_of, shell_block
from fastchat.web.settings import Parameters


def question(text: str) -> Question:
    return Question("tiny-chat", [{"role": "user", "content": text}], Parameters(temperature=0.2))


@pytest.mark.parametrize("text", ["Hello!", 'It\'s $HOME `date` \\ "quoted"\nsecond line', "größer 数学"])
def test_a_shell_reads_the_request_back_as_it_is_sent(text: str) -> None:
    words = shlex.split(curl(question(text), "http://localhost:8000", needs_key=False))
    assert words[2] == "http://localhost:8000/v1/chat/completions"
    assert json.loads(words[-1]) == question(text).body()


def test_the_key_is_named_and_not_shown() -> None:
    assert '"Authorization: Bearer $FASTCHAT_API_KEY"' in curl(question("Hi"), "http://x", needs_key=True)


def test_before_the_first_question_the_command_says_hello() -> None:
    words = shlex.split(curl(Question("tiny-chat", [], Parameters()), "http://x", needs_key=False))
    assert json.loads(words[-1])["messages"] == [{"role": "user", "content": "Hello!"}]


def test_a_conversation_with_fences_does_not_end_the_block() -> None:
    block = shell_block(curl(question("````\ncode\n````"), "http://x", needs_key=False))
    assert block.startswith("`````bash\n")
    assert block.endswith("\n`````")


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "box:8000"}, "http://box:8000"),
        ({"host": "127.0.0.1:4000", "x-forwarded-host": "chat.example"}, "http://chat.example"),
        ({"host": "chat.example", "x-forwarded-proto": "https"}, "https://chat.example"),
        ({"host": "a", "x-forwarded-host": "b, c", "x-forwarded-proto": "https, http"}, "https://b"),
    ],
)
def test_the_origin_is_the_one_the_browser_sees(headers: dict[str, str], origin: str) -> None:
    assert origin_of(headers) == origin
