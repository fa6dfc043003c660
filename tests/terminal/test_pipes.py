"""The commands as a shell script uses them."""

import json
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.stack.system import DEADLINE_S, Process
from tests.terminal.conftest import command, piped, reply

SENTINEL = " __END_OF_A_MESSAGE_47582648__\n"


def test_only_the_answers_go_into_a_pipe(env: Mapping[str, str]) -> None:
    done = piped(env, "one\n!!regen\n/stats\ntwo", "fastchat", "chat", "scripted")
    assert done.stdout == "one\none\ntwo\n"
    assert done.returncode == 0
    assert "token" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_an_empty_line_ends_it_and_a_multiline_message_is_all_there_is(env: Mapping[str, str]) -> None:
    assert piped(env, "one\n\ntwo\n", "fastchat.serve.cli", "--model-path", "scripted").stdout == "one\n"
    whole = piped(env, "one\n\ntwo\n", "fastchat", "chat", "scripted", "--multiline")
    assert whole.stdout == "one\n\ntwo\n\n"


def test_a_failure_is_told_and_counts(env: Mapping[str, str]) -> None:
    done = piped(env, "one\n", "fastchat", "chat", "scripted", *reply("x", error=502))
    assert done.returncode == 1
    assert "error: The script asked for status 502." in done.stderr


def test_a_wrong_name_is_one_line_and_no_traceback(env: Mapping[str, str]) -> None:
    done = piped(env, "", "fastchat", "chat", "scripted", "--model", "other")
    assert done.returncode == 2
    assert "'other' does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_fastchats_flags_are_understood_as_they_were_written(env: Mapping[str, str]) -> None:
    flags = ["--model-path", "scripted", "--device", "cpu", "--style", "rich", "--temperature", "0.7"]
    flags += ["--repetition_penalty", "1.1", "--max-new-tokens", "1", "--no-history", "--judge-sent-end", "--debug"]
    flags += ["--conv-system-msg", "Be kind.", "--mouse"]
    done = piped(env, "one two\n", "fastchat.serve.cli", *flags)
    assert done.stdout == "one \n"
    assert "--judge-sent-end has no effect" in done.stderr
    assert "'prompt': 'system: Be kind.\\nuser: one two\\nassistant: '" in done.stderr


def test_a_program_can_talk_by_fastchats_protocol(env: Mapping[str, str]) -> None:
    messages = f"one\n\n/two{SENTINEL}!!reset{SENTINEL}three{SENTINEL}!!exit{SENTINEL}never{SENTINEL}"
    done = piped(env, messages, "fastchat.serve.cli", "--model-path", "scripted", "--style", "programmatic")
    assert done.stdout.replace("The conversation begins anew.\n", "") == (
        "[!OP:USER]: one\n\n/two\n[!OP:ASSISTANT]: one\n\n/two\n"
        "[!OP:USER]: !!reset\n[!OP:USER]: three\n[!OP:ASSISTANT]: three\n[!OP:USER]: !!exit\n"
    )


@pytest.mark.parametrize("name", [["fastchat.serve.huggingface_api", "--model-path"], ["fastchat", "answer"]])
def test_one_question_gets_one_answer(env: Mapping[str, str], name: list[str]) -> None:
    done = piped(env, "", *name, "scripted", "--message", "How are you?", *reply("Well."))
    assert done.stdout == "USER: How are you?\nASSISTANT: Well.\n"
    failed = piped(env, "", *name, "scripted", "--message", "How are you?", *reply("Well.", error=502))
    assert failed.returncode == 2
    assert "error: The script asked for status 502." in failed.stderr


def until_served(process: Process) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while "Uvicorn running" not in process.logged():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_answers_under_the_name_that_is_asked_for(env: Mapping[str, str], server: Process) -> None:
    until_served(server)
    with_key = {**env, "FASTCHAT_API_KEY": "secret"}
    done = piped(with_key, "/models\nhello\n/model echo-alias\n/models\nagain", "fastchat", "chat", f"{server.url}/v1")
    assert done.stdout == "hello\nagain\n"
    assert "* echo\n  echo-alias\n" in done.stderr
    assert "  echo\n* echo-alias\n" in done.stderr
    chosen = piped(with_key, "", "fastchat", "answer", server.url, "--model", "echo-alias", "--message", "x")
    assert "ASSISTANT: x" in chosen.stdout
    unknown = piped(with_key, "", "fastchat", "chat", server.url, "--model", "nobody")
    assert (unknown.returncode, "'nobody' does not exist" in unknown.stderr) == (2, True)


def test_a_reader_that_leaves_ends_the_chat_quietly(env: Mapping[str, str]) -> None:
    chat = subprocess.Popen(
        command("fastchat", "chat", "scripted"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert chat.stdin is not None
    assert chat.stdout is not None
    chat.stdin.write("one\n")
    chat.stdin.flush()
    assert chat.stdout.readline() == "one\n"
    chat.stdout.close()
    chat.stdout = None
    _, complaints = chat.communicate("two\nthree\n", timeout=DEADLINE_S)
    assert chat.returncode == 1
    assert "Traceback" not in complaints


def test_ctrl_c_ends_a_chat_that_nobody_sits_at(env: Mapping[str, str]) -> None:
    chat = subprocess.Popen(
        command("fastchat", "chat", "scripted", *reply("word " * 1000, token_ms=20)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert chat.stdin is not None
    assert chat.stdout is not None
    chat.stdin.write("one\ntwo\n")
    chat.stdin.flush()
    assert chat.stdout.read(4) == "word"
    chat.send_signal(signal.SIGINT)
    rest, _ = chat.communicate(timeout=DEADLINE_S)
    assert chat.returncode == 1
    assert rest.count("\n") == 1


@pytest.mark.parametrize("name", ["chat", "answer"])
def test_help_needs_nothing_heavy(env: Mapping[str, str], name: str) -> None:
    done = piped({**env, "PYTHONPROFILEIMPORTTIME": "1"}, "", "fastchat", name, "--help")
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pydantic" in loaded
    assert loaded & {"torch", "transformers", "prompt_toolkit", "markdown_it", "rich.console", "xllamacpp"} == set()


@pytest.mark.model
def test_the_built_in_model_answers_a_pipe() -> None:
    done = subprocess.run(
        command("fastchat", "chat", "builtin", "--temperature", "0", "--max-new-tokens", "12"),
        input="Say hello.",
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0
    assert "hello" in done.stdout.lower()
    assert "\x1b" not in done.stdout
    assert "Loading smollm2" in done.stderr


def test_a_model_of_a_register_file_answers(env: Mapping[str, str], server: Process, tmp_path: Path) -> None:
    until_served(server)
    entry = {"model_name": "echo", "api_base": f"{server.url}/v1/", "api_type": "openai", "api_key": "secret"}
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"My Model (v1)": {**entry, "anony_only": False}}))
    done = piped(env, "Hello there\n", "fastchat", "chat", "--register", str(file), "My Model (v1)")
    assert (done.returncode, done.stdout) == (0, "Hello there\n"), done.stderr
