"""docs/data.md names every action, rule, format and command of FastChat's."""

from pathlib import Path

from fastchat.commands.data import KNOWN_FORMATS
from fastchat.data.cleaning.choosing import KNOWN
from fastchat.data.readers.formats import FORMATS
from tests.fastchat_data.test_fastchat_commands import DOORS

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")


def test_every_rule_is_described_in_the_order_of_its_use() -> None:
    rows = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [row for row in rows if row in KNOWN] == list(KNOWN)
    for name, rule in KNOWN.items():
        assert (f"| `{name}` ° |" in PAGE) is not rule.is_usual


def test_every_format_is_described() -> None:
    assert [name for name in FORMATS if f"| `{name}` |" not in PAGE or name not in KNOWN_FORMATS] == []


def test_every_command_of_fastchats_is_named() -> None:
    assert [name for name in DOORS if f"`{name}`" not in PAGE] == []
