import pytest

from fastchat.web.models import Choice, choices, version_of
from fastchat.web.texts import Catalogue

ENGLISH = Catalogue.load().of("en")


@pytest.mark.parametrize(
    ("names", "chosen", "keep", "offered", "wanted"),
    [
        (("a", "b"), "b", False, [("a", "a"), ("b", "b")], "b"),
        (("a", "b"), None, False, [("a", "a"), ("b", "b")], "a"),
        (("a",), "gone", False, [("a", "a")], "a"),
        (("a",), "gone", True, [("gone (not running)", "gone"), ("a", "a")], "gone"),
        ((), None, False, [("No model", "")], ""),
        ((), "", True, [("No model", "")], ""),
        (("a",), "", False, [("a", "a")], "a"),
    ],
)
def test_what_the_picker_offers(
    names: tuple[str, ...], chosen: str | None, keep: bool, offered: list[Choice], wanted: str
) -> None:
    assert choices(names, chosen, ENGLISH, keep=keep) == (offered, wanted)


@pytest.mark.parametrize(("names", "wanted"), [(("a", "b", "c"), "b"), (("a",), "a")])
def test_a_second_picker_begins_with_the_second_model(names: tuple[str, ...], wanted: str) -> None:
    assert choices(names, None, ENGLISH, keep=False, first=1)[1] == wanted


def test_the_version_of_a_list_tells_it_from_another_and_nothing_else() -> None:
    assert version_of(["a", "b"]) == version_of(["a", "b"]) != version_of(["a"])
    assert "a" * 20 not in version_of(["a" * 20])
