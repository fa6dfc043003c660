"""What leads to a person is found and taken out; what does not, mostly stays; and nobody is asked over the network."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fastchat.arena.exchange.personal_data.finder import Cleaner, Finder, Unreadable
from fastchat.core.errors import SetupError

pytest.importorskip("presidio_analyzer")

PLANTED: list[dict[str, Any]] = tomllib.loads((Path(__file__).parents[2] / "data/personal_data.toml").read_text())[
    "planted"
]
HARMLESS = (
    "Write a haiku about rain in Berlin.",
    "def area(r): return 3.14 * r ** 2  # version 2.10.3",
    "In 1815 the population was 12,345 and grew by 4.5 % a year.",
    "See https://docs.python.org/3/library/re.html#regular-expression-syntax for more.",
    "Solve x^2 - 5x + 6 = 0 and give both roots.",
    "The meeting is at 10:30 on 2024-05-02, room 7.",
    "def count_token(text: str) -> int: ...",
    "Explain the street price of GPUs; my way of working; a hard place.",
)


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted['kind']}-{planted['secret'][:24]}")
def test_what_was_planted_is_gone(finder: Finder, planted: dict[str, Any]) -> None:
    ((cleaned,), found) = Cleaner(finder).clean([planted["text"]])
    for piece in [planted["secret"], *planted.get("parts", ())]:
        assert piece not in cleaned
    assert found[planted["kind"]] >= 1


def test_every_kind_was_planted(finder: Finder) -> None:
    assert {planted["kind"] for planted in PLANTED} == set(finder.kinds)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_names_nobody_stays(finder: Finder, text: str) -> None:
    assert Cleaner(finder).clean([text]).texts == [text]


def test_who_gave_a_name_once_is_not_called_by_it_later(finder: Finder) -> None:
    said = ["Hi, my name is Ada King.", "Hello Ada! Shall I call you Ms King?", "KING is my last name, ada my first."]
    assert not [text for text in Cleaner(finder).clean(said).texts if "Ada" in text or "King" in text]


def test_a_text_that_cannot_be_searched_to_its_end_is_refused(finder: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    from presidio_analyzer import pattern_recognizer

    monkeypatch.setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 1e-9)
    with pytest.raises(Unreadable):
        finder.find("a@b.example " * 2000)


def test_each_recognizer_says_where_it_is_from(finder: Finder) -> None:
    sources = {recognizer.source.split()[0].rstrip(",") for recognizer in finder.recognizers}
    assert sources == {"fastchat", "presidio-analyzer"}
    assert any("No language model was used" in limit for limit in finder.limits)


def test_a_model_that_is_not_installed_is_not_fetched() -> None:
    with pytest.raises(SetupError, match="there is no such package"):
        Finder("xx_no_such_model")


def test_nobody_is_asked_over_the_network() -> None:
    program = """
import sys
asked = []
CALLS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"}
sys.addaudithook(lambda event, _: asked.append(event) if event in CALLS else None)
from fastchat.arena.exchange.personal_data.finder import Finder
assert Finder().find("Mail ada@example.org, see https://a.example/?token=abcd1234, call +49 30 901820")
assert not asked, asked
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
