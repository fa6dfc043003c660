import pytest

from fastchat.client.chat import ChatParameters
from fastchat.core.errors import SetupError
from fastchat.terminal.settings import TalkSettings


def parse(*argv: str) -> TalkSettings:
    return TalkSettings.from_argv(argv, prog="fastchat chat", description="")


@pytest.mark.parametrize(
    ("argv", "place"),
    [
        ([], "builtin"),
        (["model.gguf"], "model.gguf"),
        (["--model-path", "model.gguf"], "model.gguf"),
        (["--model", "model.gguf"], "model.gguf"),
        (["http://localhost:8000", "--model", "m"], "http://localhost:8000"),
    ],
)
def test_what_answers_can_be_said_in_several_ways(argv: list[str], place: str) -> None:
    assert parse(*argv).place == place


@pytest.mark.parametrize(
    ("argv", "parameters"),
    [
        (["builtin"], ChatParameters(temperature=0.2, top_p=0.9, max_tokens=1024)),
        (
            ["builtin", "--temperature", "1", "--max-new-tokens", "5"],
            ChatParameters(temperature=1, top_p=0.9, max_tokens=5),
        ),
        (["/models/vicuna-7b/"], ChatParameters(temperature=0.7, max_tokens=512)),
        (["lmsys/fastchat-t5-3b-v1.0"], ChatParameters(temperature=0.7, max_tokens=512, repetition_penalty=1.2)),
        (["x-t5", "--repetition_penalty", "1"], ChatParameters(temperature=0.7, max_tokens=512, repetition_penalty=1)),
        (["https://example.com"], ChatParameters()),
        (["https://example.com", "--seed", "3"], ChatParameters(seed=3)),
    ],
)
def test_sampling_is_what_was_said_else_what_suits_the_model(argv: list[str], parameters: ChatParameters) -> None:
    assert parse(*argv).parameters() == parameters


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--temperature", "9"], "temperature: Input should be less than or equal to 2"),
        (["--max-new-tokens", "0"], "max_tokens: Input should be greater than or equal to 1"),
        (["--temperature", "hot"], "--temperature: .*number"),
        (["--gptq-ckpt", "x"], "GPTQ"),
    ],
)
def test_an_impossible_value_is_named(argv: list[str], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        parse(*argv).parameters()


@pytest.mark.parametrize(
    "flags",
    [
        "--num-gpus 2",
        "--num-gpus 2 --max-gpu-memory 8GiB",
        "--device cpu",
        "--device mps --load-8bit",
        "--load-8bit --cpu-offloading",
    ],
)
def test_the_commands_of_fastchats_readme_are_understood(flags: str) -> None:
    settings = parse("--model-path", "lmsys/vicuna-7b-v1.5", *flags.split())
    assert settings.place == "lmsys/vicuna-7b-v1.5"
    assert settings.load_8bit == ("--load-8bit" in flags)
