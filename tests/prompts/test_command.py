"""`fastchat prompts`, as a user types it."""

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.__main__ import run_command
from fastchat.prompts import catalog
from tests.prompts.test_formats import FASTCHAT

TALK = [{"role": "user", "content": "Grüße\n"}]
VICUNA = catalog.find("vicuna_v1.1").system


@pytest.fixture
def talk(tmp_path: Path) -> str:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps(TALK))
    return str(file)


def printed(capsysbinary: pytest.CaptureFixture[bytes], *argv: str) -> bytes:
    run_command("prompts", argv)
    return capsysbinary.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], argv: Sequence[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        run_command("prompts", argv)
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_list_prints_names_and_nothing_else(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = printed(capsysbinary, "list").decode().splitlines()
    assert set(FASTCHAT["rendered"]) | {"longchat", "fastchat-t5", "vicuna_v0"} == set(lines)
    assert len(lines) == 105


def test_render_prints_the_text_and_nothing_else(capsysbinary: pytest.CaptureFixture[bytes], talk: str) -> None:
    text = printed(capsysbinary, "render", "vicuna_v1.1", "--messages", talk)
    assert text == f"{VICUNA} USER: Grüße\n ASSISTANT:".encode()


@pytest.mark.parametrize(
    ("system", "text"), [("", " USER: Grüße\n ASSISTANT:"), ("Rhyme.", "Rhyme. USER: Grüße\n ASSISTANT:")]
)
def test_the_flag_wins_over_the_file(
    capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path, system: str, text: str
) -> None:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps({"messages": [{"role": "system", "content": "Be brief."}, *TALK]}))
    assert printed(capsysbinary, "render", "vicuna_v1.1", "--messages", str(file), "--system", system) == text.encode()


def test_a_closed_conversation_is_printed_closed(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_text(json.dumps([*TALK, {"role": "assistant", "content": "Hi"}]))
    assert printed(capsysbinary, "render", "vicuna_v1.1", "--messages", str(file)).endswith(b"ASSISTANT: Hi</s>")


def test_messages_come_from_the_input_too(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(json.dumps(TALK).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    assert printed(capsysbinary, "render", "raw", "--messages", "-") == "Grüße\n".encode()


def test_a_file_may_stand_for_a_name(capsysbinary: pytest.CaptureFixture[bytes], talk: str, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text("<{{ messages[0].content | trim }}>")
    assert printed(capsysbinary, "render", str(template), "--messages", talk) == "<Grüße>".encode()


def test_a_model_stands_for_its_template(capsysbinary: pytest.CaptureFixture[bytes], talk: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": "{{ bos_token }}{{ messages[0].content }}", "bos_token": {"content": "<s>"}})
    )
    assert printed(capsysbinary, "render", str(tmp_path), "--messages", talk) == "<s>Grüße\n".encode()


def test_the_jinja_of_a_format_can_be_saved(
    capsysbinary: pytest.CaptureFixture[bytes], talk: str, tmp_path: Path
) -> None:
    saved = tmp_path / "zephyr.jinja"
    saved.write_bytes(printed(capsysbinary, "show", "zephyr", "--jinja"))
    by_file = printed(capsysbinary, "render", str(saved), "--messages", talk)
    assert by_file == printed(capsysbinary, "render", "zephyr", "--messages", talk)


def test_show_tells_all_of_a_format(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    text = printed(capsysbinary, "show", "deepseek-chat").decode()
    for expected in (
        r"deepseek-llm.*chat",
        '"<｜end▁of▁sentence｜>"',
        "User: Hello!",
        "{%- generation -%}",
        "⟦ I am a test.",
    ):
        assert expected in text
    assert "FastChat cuts" in printed(capsysbinary, "show", "yuan2").decode()


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("[", "raw", "is not JSON"),
        pytest.param("[" * 100_000, "raw", "is not JSON", id="deep"),
        ("{}", "raw", "no OpenAI messages"),
        ('[{"content": "x"}]', "raw", "0.role: Field required"),
        ('[{"role": "user", "content": 1}]', "raw", "0.content"),
        ('[{"role": "wizard", "content": "x"}]', "raw", "role 'wizard'. Allowed: system"),
        ('[{"role": "tool", "content": "x"}]', "raw", "no role 'tool'"),
        ('[{"role": "user", "content": [{"type": "image_url"}]}]', "raw", "text only"),
        ("[]", "vicuna", "no prompt format and no file 'vicuna'. Do you mean"),
    ],
)
def test_mistakes_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, name: str, expected: str
) -> None:
    file = tmp_path / "talk.json"
    file.write_text(content)
    told = complaint(capsys, ["render", name, "--messages", str(file)])
    assert expected in told
    assert told.count("\n") == 1


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--messages /nowhere.json: No such file" in complaint(
        capsys, ["render", "raw", "--messages", "/nowhere.json"]
    )


def test_a_model_without_a_template_is_told_its_format(
    capsys: pytest.CaptureFixture[str], talk: str, tmp_path: Path
) -> None:
    folder = tmp_path / "vicuna-7b-v1.5"
    folder.mkdir()
    assert "matches the format 'vicuna_v1.1'" in complaint(capsys, ["render", str(folder), "--messages", talk])


@pytest.mark.model
def test_the_built_in_model_shows_its_prompt_and_its_tokens(
    capsysbinary: pytest.CaptureFixture[bytes], talk: str
) -> None:
    text = printed(capsysbinary, "render", "builtin", "--messages", talk)
    assert text.endswith("<|im_start|>user\nGrüße\n<|im_end|>\n<|im_start|>assistant\n".encode())
    ids: list[Any] = json.loads(
        printed(capsysbinary, "render", "builtin", "--messages", talk, "--model-path", "builtin")
    )
    assert (ids[0], ids[-3:]) == (1, [1, 520, 9531, 198][-3:])
    assert ids.count(1) == 3  # <|im_start|>


def test_help_needs_no_model_library() -> None:
    code = (
        "import sys\nfrom fastchat.__main__ import main\n"
        "try: main(['prompts', 'render', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'xllamacpp') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
