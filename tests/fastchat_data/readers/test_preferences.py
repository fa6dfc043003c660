"""What people preferred, in the forms in which others publish it."""

from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.readers.preferences import read_preferences, read_rated
from tests.fastchat_data.talks import write

ASKED = {"role": "user", "content": "Hi"}
GOOD, BAD = {"role": "assistant", "content": "Hello"}, {"role": "assistant", "content": "No"}


@pytest.mark.parametrize(
    "row",
    [
        {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": {"from": "gpt", "value": "No"},
        },
        {"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "No"},
        {"prompt": "Hi", "chosen": "Hello", "rejected": "No"},
        {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
        {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: No"},
    ],
)
def test_every_form_of_a_preference(tmp_path: Path, row: Any) -> None:
    [found] = read_preferences(write(tmp_path / "votes.json", [row]))
    assert (found.prompt, found.chosen, found.rejected) == ([ASKED], [GOOD], [BAD])
    assert found.id == "votes_0"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASKED, GOOD], "label": True},
        {"conversations": [ASKED, GOOD], "kto_tag": True},
        {"prompt": "Hi", "completion": "Hello", "label": True},
    ],
)
def test_every_form_of_what_is_rated(tmp_path: Path, row: Any) -> None:
    [found] = read_rated(write(tmp_path / "votes.json", [row]))
    assert (found.prompt, found.completion, found.is_wanted) == ([ASKED], [GOOD], True)


def test_a_preference_is_two_ratings(tmp_path: Path) -> None:
    rows = [{"prompt": "Hi", "chosen": "Hello", "rejected": "No"}]
    found = list(read_rated(write(tmp_path / "votes.json", rows)))
    assert [(one.completion[0]["content"], one.is_wanted) for one in found] == [("Hello", True), ("No", False)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"chosen": "a"}, "has `chosen` and `rejected`; found the fields chosen"),
        ({"chosen": "a", "rejected": "b"}, "prompt has to end with a user's message"),
        ({"prompt": "Hi", "chosen": [], "rejected": "b"}, "one of its answers is empty"),
        ({"chosen": [ASKED, GOOD], "rejected": [ASKED, GOOD]}, "prompt has to end with a user's message"),
    ],
)
def test_what_is_no_preference_is_said(tmp_path: Path, row: Any, told: str) -> None:
    with pytest.raises(SetupError, match=f"record 1: .*{told}"):
        list(read_preferences(write(tmp_path / "votes.json", [row])))
