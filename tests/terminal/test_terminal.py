"""The chat in a real terminal."""

import stat
from collections.abc import Mapping
from pathlib import Path

from tests.terminal.conftest import command, reply
from tests.terminal.terminals import ALT_ENTER, CTRL_C, CTRL_D, UP, Terminal

CHAT = command("fastchat", "chat", "scripted")
SLOW = reply("word " * 1000, token_ms=20)


def test_rich_renders_an_answer_tells_its_speed_and_leaves_with_ctrl_d(env: Mapping[str, str]) -> None:
    with Terminal([*CHAT, *reply("# Title\n\n**bold** text")], env) as terminal:
        terminal.until("USER: ")
        terminal.press("hi\r")
        shown = terminal.until("tokens/s")
        terminal.until("USER: ")
        terminal.press(CTRL_D)
        assert terminal.until_end() == 0
    assert "Title\n\nbold text\n" in shown
    assert "#" not in shown
    assert "\x1b[1mbold\x1b[0m" in terminal.raw


def test_ctrl_c_stops_the_answer_and_not_the_chat(env: Mapping[str, str]) -> None:
    with Terminal([*CHAT, *SLOW], env) as terminal:
        terminal.until("USER: ")
        terminal.press("go\r")
        terminal.until("word word")
        terminal.press(CTRL_C + CTRL_C)
        terminal.until("stopped")
        terminal.until("USER: ")
        terminal.press("/remove\r")
        terminal.until("The last exchange is forgotten.")
        terminal.until("USER: ")
        terminal.press("typed in vain" + CTRL_C)
        terminal.until("Ctrl-C again")
        terminal.until("USER: ")
        terminal.press(CTRL_C)
        assert terminal.until_end() == 0


def test_an_answer_longer_than_the_window_is_printed_once(env: Mapping[str, str]) -> None:
    lines = [f"row{number:03}" for number in range(60)]
    answer = "\n".join(["```", *lines, "```", "", "after it"])
    with Terminal([*CHAT, *reply(answer)], env, rows=12) as terminal:
        terminal.until("USER: ")
        terminal.press("go\r")
        shown = terminal.until("tokens/s")
    assert [line for line in lines if line not in shown] == []
    printed = shown[shown.rindex("row000") :]
    assert [printed.count(line) for line in lines] == [1] * 60


def test_several_lines_history_and_the_right_to_read_it(env: Mapping[str, str], tmp_path: Path) -> None:
    with Terminal(CHAT, env) as terminal:
        terminal.until("USER: ")
        terminal.press(f"first{ALT_ENTER}second\r")
        terminal.until("tokens/s")
        terminal.until("USER: ")
        terminal.press("/exit\r")
        assert terminal.until_end() == 0
    history = tmp_path / "cache" / "chat_history"
    assert "+first\n+second\n" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    with Terminal(CHAT, env) as terminal:
        terminal.until("USER: ")
        terminal.press(UP)
        terminal.until("/exit")
        terminal.press("\r")
        assert terminal.until_end() == 0


def test_simple_style_in_a_terminal_has_prompts_and_no_escape_codes(env: Mapping[str, str]) -> None:
    with Terminal([*CHAT, "--style", "simple", *SLOW], env) as terminal:
        terminal.until("USER: ")
        terminal.press("half a line" + CTRL_C)
        terminal.until("Ctrl-C again")
        terminal.until("USER: ")
        terminal.press("go\n")
        terminal.until("ASSISTANT: word word")
        terminal.press(CTRL_C)
        terminal.until("stopped")
        start = len(terminal.raw)
        terminal.until("USER: ")
        terminal.press("/system \x1b[31mred\n")
        terminal.until("System message: ")
        terminal.until("USER: ")
        terminal.press("\n")
        assert terminal.until_end() == 0
    assert "\x1b" not in terminal.raw[start:].replace("^[", "")


def test_an_answer_cannot_command_the_terminal(env: Mapping[str, str]) -> None:
    answer = reply("\x1b]0;owned\x07\x1b[2Jplain\rtext")
    for style in ("simple", "rich"):
        with Terminal([*CHAT, "--style", style, *answer], env) as terminal:
            terminal.until("USER: ")
            terminal.press("go\r" if style == "rich" else "go\n")
            terminal.until("plaintext")
            terminal.until("USER: ")
        assert "\x1b]0;owned" not in terminal.raw
        assert "\x1b[2J" not in terminal.raw
    with Terminal([*command("fastchat", "answer", "scripted"), *answer], env) as terminal:
        terminal.until("plaintext")
        assert terminal.until_end() == 0
    assert "\x1b" not in terminal.raw
