"""One spelling for what is compared."""

import pytest

from fastchat.arena.folding import fold


@pytest.mark.parametrize(
    "tower",
    [
        "a" + "\u0301" * 100_000 + "\u0327" * 100_000,
        "a" + "\u0f73" * 100_000,  # marks only when it is taken apart
        "a" + ("\u0301" * 20 + "\uff9e") * 10_000,
    ],
)
def test_towers_of_marks_are_cut_off(tower: str) -> None:
    """To sort a letter's marks takes the square of their number."""
    assert len(fold(tower)) < 100


def test_marks_that_are_written_stay() -> None:
    assert fold("Việt NAI\u0308VE q\u0323\u0301") == "việt naïve q\u0323\u0301"
    assert fold("q" + "\u0301" * 30) != fold("q" + "\u0301" * 29)
