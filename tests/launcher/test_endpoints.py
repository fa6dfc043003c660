"""`endpoints:` in fastchat.yaml: entries of FastChat's register file, served beside everything else."""

import tempfile
from pathlib import Path

import openai
import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config, LocalModel, RegisteredModel
from fastchat.launcher.config_file import load
from fastchat.launcher.hosted import announcement_of
from fastchat.launcher.memory import GB
from fastchat.launcher.plan import Machine, make_plan
from tests.client.providers.dialects import WIRES
from tests.client.providers.servers import FakeProvider, serving
from tests.launcher.up import up

ENDPOINTS = """\
endpoints:
  Claude of ours:
    model_name: claude-x
    api_type: anthropic
    api_key: env:MY_KEY
    anony_only: true
    vision-arena: true
  Local Llama: {model_name: llama, api_base: "http://0.0.0.0:8001/v1/", api_key: Empty}
"""


def config_of(folder: Path, text: str) -> Config:
    file = folder / "fastchat.yaml"
    file.write_text(text)
    return load(file, {"MY_KEY": "sk-mine"}).config


def test_entries_are_those_of_the_register_file(tmp_path: Path) -> None:
    claude, llama = config_of(tmp_path, ENDPOINTS).served
    assert isinstance(claude, RegisteredModel)
    assert isinstance(llama, RegisteredModel)
    told = announcement_of(claude)
    assert (told.api_type, told.api_key, told.models[0].upstream_name) == ("anthropic", "sk-mine", "claude-x")
    assert told.models[0].arena is not None
    assert told.models[0].arena.is_anonymous_only
    assert announcement_of(llama).url == "http://127.0.0.1:8001"


def test_with_endpoints_the_built_in_model_is_not_brought_along(tmp_path: Path) -> None:
    assert config_of(tmp_path, ENDPOINTS).models == ()
    assert config_of(tmp_path, ENDPOINTS + "models: []\n").models == ()
    assert config_of(tmp_path, ENDPOINTS + "models: [{model: scripted}]\n").models == (LocalModel(model="scripted"),)
    assert config_of(tmp_path, "port: 8000\n").models == (LocalModel(model="builtin"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("endpoints:\n  A: {model_name: m}\n", "fastchat.yaml:2: endpoints.A: 'api_key' is missing"),
        (
            "endpoints:\n  A:\n    model_name: m\n    api_type: palm\n",
            "fastchat.yaml:4: endpoints.A.api_type: 'palm' was given; 'palm' leads nowhere any more",
        ),
        ("endpoints:\n  A:\n    api_base: http://a\n", "fastchat.yaml:2: endpoints.A: 'model_name' is missing"),
        ("models: []\n", "fastchat.yaml:1: models: "),
        (
            "endpoints:\n  A: {model_name: m, api_base: http://a, slot: 4}\n",
            "fastchat.yaml:1: endpoints: 'A': there is no key 'slot'",
        ),
    ],
)
def test_a_complaint_names_the_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SetupError) as refused:
        config_of(tmp_path, text)
    assert refused.value.message.replace(f"{tmp_path}/", "").startswith(expected)


def test_a_key_is_not_shown_when_something_else_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as refused:
        config_of(tmp_path, "endpoints:\n  A: {model_name: m, api_key: sk-secret, api_base: nowhere}\n")
    assert "sk-secret" not in refused.value.message


def test_a_name_belongs_to_a_model_or_to_an_endpoint() -> None:
    config = Config.model_validate(
        {
            "models": [{"model": "scripted", "names": ["twice"]}],
            "endpoints": {"twice": {"model_name": "m", "api_base": "http://a"}},
        }
    )
    with pytest.raises(SetupError, match=r"endpoints\.twice: the name 'twice' is taken by scripted"):
        make_plan(config.served, Machine(100 * GB))


async def test_up_serves_them_like_all_others(tmp_path: Path) -> None:
    fake = FakeProvider(WIRES["anthropic"])
    async with serving(fake) as url:
        file = tmp_path / "fastchat.yaml"
        file.write_text(
            f"web: false\nmodels: [{{model: scripted, names: [echo]}}]\nendpoints:\n"
            f"  A Claude: {{model_name: claude-x, api_type: anthropic, api_base: '{url}', api_key: sk-1}}\n"
        )
        with tempfile.TemporaryDirectory() as folder, up("--config", str(file), run_dir=Path(folder)) as system:
            assert await system.chat("A Claude", "Hello?") == "Hello wörld"
            assert await system.chat("echo", "Still here") == "Still here"
            async with openai.AsyncOpenAI(base_url=f"{system.url}/v1", api_key="EMPTY") as client:
                assert {card.id for card in (await client.models.list()).data} == {"A Claude", "echo"}
    assert fake.state.asked.body["model"] == "claude-x"
    assert WIRES["anthropic"].key(fake.state.asked) == "sk-1"
