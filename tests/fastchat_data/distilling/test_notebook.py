from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.distilling.notebook import Notebook
from tests.fastchat_data.talks import talk

ASKED = {"teacher": "m", "seed": 0}


def test_conversations_come_back_in_the_order_of_what_was_asked(tmp_path: Path) -> None:
    with Notebook.open(tmp_path, ASKED) as book:
        book.add(2, talk("c", "C", id="two", model="m"))
        book.add(0, talk("a", "A", id="zero", model="m"))
    with Notebook.open(tmp_path, ASKED) as book:
        assert book.done == {0, 2}
        assert list(book.conversations()) == [talk("a", "A", id="zero", model="m"), talk("c", "C", id="two", model="m")]


def test_half_a_line_of_a_killed_process_is_cut_off(tmp_path: Path) -> None:
    with Notebook.open(tmp_path, ASKED) as book:
        book.add(0, talk("a", "A"))
    with (tmp_path / "taught.jsonl").open("a") as stream:
        stream.write('{"number": 1, "conv')
    with Notebook.open(tmp_path, ASKED) as book:
        book.add(1, talk("b", "B"))
    with Notebook.open(tmp_path, ASKED) as book:
        assert [one.messages[0]["content"] for one in book.conversations()] == ["a", "b"]


def test_another_line_does_not_go_on_here_once_something_was_taught(tmp_path: Path) -> None:
    with Notebook.open(tmp_path, {"teacher": "mistyped"}):
        pass
    with Notebook.open(tmp_path, ASKED) as book:
        book.add(0, talk("a", "A"))
    with pytest.raises(SetupError, match="seed was 0, now 1"), Notebook.open(tmp_path, {**ASKED, "seed": 1}):
        pass


def test_two_runs_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with (
        Notebook.open(tmp_path, ASKED),
        pytest.raises(SetupError, match="Another run"),
        Notebook.open(tmp_path, ASKED),
    ):
        pass
