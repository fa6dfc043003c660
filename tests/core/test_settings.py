import logging
from collections.abc import Mapping
from typing import ClassVar

import pytest
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting


class ExampleSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")

    port: int = setting(21001, "where to listen")
    controller_address: str = setting("http://c", "the controller", "--controller")
    target: str | None = setting(None, "what to work on", positional=True)
    names: Items = setting((), "names")
    path: list[str] = setting([], "paths")
    options: dict[str, int] = setting({}, "options")
    is_loud: bool = setting(False, "be loud")
    token: str | None = setting(None, "secret", env="SHARED_TOKEN")

    withdrawn: ClassVar[Mapping[str, str]] = {"--gptq-ckpt": "use a GGUF file"}
    without_effect: ClassVar[Mapping[str, str]] = {"--stream-interval": "every token is streamed"}


def parse(*argv: str) -> ExampleSettings:
    return ExampleSettings.from_argv(argv, prog="example", description="")


def test_flags_win_over_environment_and_environment_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse().port == 21001
    monkeypatch.setenv("EXAMPLE_PORT", "1")
    monkeypatch.setenv("SHARED_TOKEN", "t")
    assert parse().port == 1
    assert parse("--port", "2").port == 2
    assert parse().token == "t"


@pytest.mark.parametrize("flag", ["--controller-address", "--controller", "--controller-add", "--contr"])
def test_short_forms_and_beginnings_of_flags_are_understood(flag: str) -> None:
    assert parse(flag, "http://x").controller_address == "http://x"


def test_lists_come_with_commas_as_json_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse("--names", "a, b,").names == ("a", "b")
    assert parse("--names", '["a", "b"]').names == ("a", "b")
    monkeypatch.setenv("EXAMPLE_NAMES", "c,d")
    assert parse().names == ("c", "d")


def test_a_repeated_flag_collects_and_json_is_read() -> None:
    assert parse("--path", "a", "--path", "b").path == ["a", "b"]
    assert parse("--options", '{"x": 1}').options == {"x": 1}
    assert parse("--is-loud").is_loud


def test_a_wrong_value_is_named_with_its_flag_and_what_was_given() -> None:
    with pytest.raises(SetupError, match=r"--port: .*valid integer.*'many'"):
        parse("--port", "many")


def test_an_unknown_flag_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--prot", "1")
    assert ended.value.code == 2
    assert "--prot" in capsys.readouterr().err


def test_a_withdrawn_flag_says_what_to_do_instead() -> None:
    with pytest.raises(SetupError, match="--gptq-ckpt: use a GGUF file"):
        parse("--gptq-ckpt", "x.pt")


def test_a_flag_without_effect_is_accepted_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert parse("--stream-interval", "2", "--port", "3").port == 3
    assert "every token is streamed" in caplog.text


def test_what_is_positional_needs_no_flag_and_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse("x", "--port", "1").target == "x"
    assert parse("--port", "1").target is None
    monkeypatch.setenv("EXAMPLE_TARGET", "y")
    assert parse().target == "y"
