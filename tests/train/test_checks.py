"""Mistakes that stop a run before it begins."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from fastchat.core.errors import SetupError
from fastchat.train.checks import check_counts, pad_token_id
from fastchat.train.encoding import Counts

GOOD = Counts(conversations=1000, samples=995, nothing=5, refused=5, answers=2000, unstopped=10)


def test_a_few_bad_ones_are_let_pass() -> None:
    check_counts(GOOD)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"conversations": 0}, "no conversations"),
        (
            {"refused": 20, "first_refusal": "'x': no wizards."},
            "refuses 20 of 1000 conversations. The first is 'x': no",
        ),
        ({"nothing": 20, "first_nothing": "y"}, "20 of 1015 samples train nothing; the first is of conversation 'y'"),
        ({"samples": 0, "nothing": 0}, "0 of 0 samples train nothing: they"),
        ({"unstopped": 30, "first_unstopped": "bye\n"}, "30 of 2000 answers do not end .* ends with 'bye"),
    ],
)
def test_too_many_are_an_error(bad: dict[str, object], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        check_counts(replace(GOOD, **bad))  # type: ignore[arg-type]


def _tokenizer(**ids: int) -> SimpleNamespace:
    names = ("pad_token", "unk_token", "eos_token")
    return SimpleNamespace(**{name: f"<{name}>" for name in names}, **{f"{name}_id": ids.get(name) for name in names})


def test_what_pads() -> None:
    assert pad_token_id(_tokenizer(pad_token=7, unk_token=0, eos_token=2), 10) == 7
    assert pad_token_id(_tokenizer(unk_token=0, eos_token=2), 10) == 0
    assert pad_token_id(_tokenizer(eos_token=2), 10) == 2


def test_a_wrong_pad_token_is_an_error() -> None:
    with pytest.raises(SetupError, match="'<pad_token>' has the number 10, but the model knows 10 tokens"):
        pad_token_id(_tokenizer(pad_token=10, unk_token=0), 10)
    with pytest.raises(SetupError, match="no pad_token"):
        pad_token_id(_tokenizer(), 10)
