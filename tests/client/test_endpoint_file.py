import json
import logging
from pathlib import Path
from typing import Any

import pytest

from fastchat.client.api_types import API_TYPES, WITHDRAWN
from fastchat.client.endpoint_file import Address, EndpointEntry, load_endpoints, read_endpoint_file
from fastchat.client.endpoints import Endpoint
from fastchat.client.providers.registry import PROVIDERS
from fastchat.core.errors import MissingPackage, SetupError
from fastchat.protocol.control import Announcement, RecommendedConfig

# Five models on one GPU, as people register them: every base ends with a slash, the host is the one vLLM prints.
FIVE = {
    "Llama 3 8B Instruct": ("meta-llama/Meta-Llama-3-8B-Instruct", 8001),
    "Gemma 1.1 7B": ("google/gemma-1.1-7b-it", 8002),
    "DeciLM 7B Instruct": ("Deci/DeciLM-7B-instruct", 8003),
    "Phi 3 mini 128k": ("microsoft/Phi-3-mini-128k-instruct", 8004),
    "StableLM 2 1.6B Chat": ("stabilityai/stablelm-2-1_6b-chat", 8005),
}
KEYS = {name: f"key-of-{name}" for kind in API_TYPES.values() for name in kind.environment.get("api_key", ())}


def write(folder: Path, content: Any) -> Path:
    file = folder / "api_endpoints.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def announced(environ: dict[str, str] | None = None, **entry: Any) -> Announcement:
    given = {"model_name": "m", **entry}
    return EndpointEntry.model_validate(given, context={"environ": environ or {}}).announcement("A name")


def complaint(folder: Path, content: Any, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SetupError) as refused:
        read_endpoint_file(write(folder, content), environ or {})
    return refused.value.message.removeprefix(f"{folder}/")


def test_five_models_of_one_machine(tmp_path: Path) -> None:
    content = {
        name: {
            "model_name": model,
            "api_key": "Empty",
            "api_type": "openai",
            "api_base": f"http://0.0.0.0:{port}/v1/",
            "anony_only": False,
        }
        for name, (model, port) in FIVE.items()
    }
    found = load_endpoints(write(tmp_path, content), {"OPENAI_API_KEY": "sk-real"})
    assert {name for endpoint in found for name in endpoint.models} == set(FIVE)
    assert len({endpoint.endpoint_id for endpoint in found}) == 5
    for endpoint, (name, (model, port)) in zip(found, FIVE.items(), strict=True):
        assert endpoint.url == f"http://127.0.0.1:{port}"
        assert (endpoint.api_path, endpoint.api_type) == ("/v1", "openai")
        assert endpoint.api_key is None, "a key of OpenAI's is nothing for a server of one's own"
        assert endpoint.models[name].upstream_name == model


def test_what_only_the_arena_reads_is_kept_with_the_model() -> None:
    [model] = announced(
        api_base="http://a/v1",
        anony_only=True,
        custom_system_prompt=True,
        recommended_config={"temperature": 0.3, "top_p": 0.9, "max_new_tokens": 99, "extra_body": {"top_k": 5}},
        **{"text-arena": False, "vision-arena": True},
    ).models
    arena = model.arena
    assert arena is not None
    assert (arena.in_text, arena.in_vision, arena.is_anonymous_only, arena.keeps_system_prompt) == (
        *(False, True),
        *(True, True),
    )
    assert arena.recommended == RecommendedConfig(
        temperature=0.3, top_p=0.9, max_new_tokens=99, extra_body={"top_k": 5}
    )


def test_left_out_flags_of_the_arena_are_fastchats() -> None:
    arena = announced(api_base="http://a/v1").models[0].arena
    assert arena is not None
    assert (arena.in_text, arena.in_vision, arena.is_anonymous_only, arena.recommended) == (True, False, False, None)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://localhost:8001", ("http://localhost:8001", "/v1")),
        ("http://localhost:8001/", ("http://localhost:8001", "/v1")),
        ("http://localhost:8001/v1", ("http://localhost:8001", "/v1")),
        ("http://0.0.0.0:8001/v1/", ("http://127.0.0.1:8001", "/v1")),
        ("http://[::]:8001/v1/", ("http://[::1]:8001", "/v1")),
        ("http://host//v1//", ("http://host", "/v1")),
        ("http://host/v1/chat/completions", ("http://host", "/v1")),
        ("https://proxy.example/team/v1/", ("https://proxy.example/team", "/v1")),
        ("https://api.z.ai/api/paas/v4/", ("https://api.z.ai/api/paas/v4", "")),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            ("https://generativelanguage.googleapis.com/v1beta/openai", ""),
        ),
        ("https://api.perplexity.ai", ("https://api.perplexity.ai", "")),
        ("https://api.groq.com", ("https://api.groq.com/openai", "/v1")),
        ("https://api.deepseek.com", ("https://api.deepseek.com", "/v1")),
    ],
)
def test_addresses_are_taken_as_users_write_them(base: str, expected: tuple[str, str]) -> None:
    assert Address.read(base) == expected


@pytest.mark.parametrize("name", list(API_TYPES))
def test_every_type_has_an_address_and_somebody_who_speaks_it(name: str) -> None:
    extra = {"project": "p", "folder_id": "f"} | ({"api_base": "https://r.openai.azure.com"} if name == "azure" else {})
    told = announced(KEYS, api_type=name, **extra)
    assert told.url.startswith("https://")
    assert told.api_type in {"openai", *PROVIDERS}
    assert told.models[0].engine == "hosted"
    if API_TYPES[name].environment.get("api_key"):
        assert told.api_key is not None
        assert told.api_key.startswith("key-of-")


def test_fields_of_a_provider_come_from_the_entry_or_the_environment() -> None:
    told = announced({"GCP_PROJECT_ID": "mine", "GCP_LOCATION": "europe-west1"}, api_type="vertex")
    assert told.settings == {"project": "mine", "location": "europe-west1"}
    assert told.url == "https://europe-west1-aiplatform.googleapis.com"
    assert announced(api_type="vertex", project="p").url == "https://aiplatform.googleapis.com"
    assert announced({"AWS_REGION": "eu-central-1"}, api_type="bedrock").settings == {"region": "eu-central-1"}
    yandex = announced(api_type="yandexgpt", api_key="k", folder_id="b1g", model_name="yandexgpt/latest")
    assert yandex.models[0].upstream_name == "gpt://b1g/yandexgpt/latest"


def test_azure_is_known_by_its_address() -> None:
    told = announced(api_type="openai", api_base="https://r.openai.azure.com/", api_key="k")
    assert (told.api_type, told.settings) == ("azure", {"api_version": "2024-10-21"})
    new = announced(api_type="openai", api_base="https://r.openai.azure.com/openai/v1/", api_key="k")
    assert (new.api_type, new.url, new.api_path) == ("openai", "https://r.openai.azure.com/openai", "/v1")


@pytest.mark.parametrize("word", ["Empty", "EMPTY", "", "none", None])
def test_words_for_no_key(word: str | None) -> None:
    assert announced(api_base="http://localhost:8001", api_key=word).api_key is None


def test_keys_may_be_named_instead_of_written() -> None:
    environ = {"MY_KEY": "sk-mine", "OPENAI_API_KEY": "sk-other"}
    assert announced(environ, api_key="env:MY_KEY").api_key == "sk-mine"
    assert announced(environ).api_key == "sk-other"
    assert announced(environ, api_base="https://api.openai.com/v1").api_key == "sk-other"
    assert announced(environ, api_base="https://api.openai.com.evil.example/v1").api_key is None
    assert announced(api_key=" sk-pasted\n").api_key == "sk-pasted"


def test_keys_are_not_shown() -> None:
    entry = EndpointEntry.model_validate({"model_name": "m", "api_key": "sk-secret"})
    assert "sk-secret" not in repr(entry)
    assert "sk-secret" not in repr(entry.endpoint("A name"))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"api_base": "http://a"}, "'A b': 'model_name' is missing"),
        ({"model_name": "m", "api_type": "opneai"}, "'A b': api_type: there is no 'opneai'. Allowed: anthropic, "),
        ({"model_name": "m", "api_base": "http://a:99999"}, "'A b': api_base: Port out of range 0-65535"),
        (
            {"model_name": "m", "api_base": "localhost:8000"},
            "'A b': api_base: 'localhost:8000' was given; it should be an address that begins with http:// or https://",
        ),
        (
            {"model_name": "m", "api_base": "http://a", "anony_only": "perhaps"},
            "'A b': anony_only: it should be a valid boolean",
        ),
        (
            {"model_name": "m", "api_base": "http://a", "recommended_config": {"temperature": 9}},
            "'A b': recommended_config: temperature: it should be less than or equal to 2",
        ),
        ({"model_name": "m"}, "'A b': 'api_key' is missing: give it here, or set OPENAI_API_KEY"),
        ({"model_name": "m", "api_key": "env:NOPE"}, "'A b': api_key: the environment variable NOPE is not set"),
        ({"model_name": "m", "api_type": "azure"}, "'A b': 'api_base' is missing: give it here, or set AZURE_OPENAI"),
        ({"model_name": "m", "api_type": "vertex"}, "'A b': 'project' is missing: give it here, or set GOOGLE_CLOUD"),
        ([], "'A b': it should be a valid dictionary"),
    ],
)
def test_a_complaint_names_entry_and_field(tmp_path: Path, entry: Any, expected: str) -> None:
    assert complaint(tmp_path, {"A b": entry}).startswith(f"api_endpoints.json: {expected}")


@pytest.mark.parametrize("name", list(WITHDRAWN))
def test_types_that_lead_nowhere_say_what_to_use(tmp_path: Path, name: str) -> None:
    said = complaint(tmp_path, {"a": {"model_name": "m", "api_type": name}})
    assert WITHDRAWN[name] in said
    assert name not in API_TYPES


def test_all_wrong_entries_are_named_at_once(tmp_path: Path) -> None:
    said = complaint(tmp_path, {"a": {}, "b": {"model_name": "m", "api_base": "x"}})
    assert [line.split(": ")[1] for line in said.splitlines()] == ["'a'", "'b'"]


def test_a_key_that_cannot_be_one_is_not_repeated(tmp_path: Path) -> None:
    said = complaint(tmp_path, {"a": {"model_name": "m", "api_key": "sk secret"}})
    assert "neither spaces" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": {,}}', ":1: this is not JSON"),
        ("[]", "it should be a JSON object"),
        ('{"a": {"model_name": "x"}, "a": {"model_name": "y"}}', "'a' stands there twice"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in complaint(tmp_path, text)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SetupError, match=r"/nowhere/a\.json"):
        read_endpoint_file(Path("/nowhere/a.json"))


def test_keys_nobody_knows_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entry = {"model_name": "m", "api_base": "http://a", "vision_area": True, "client_name": "FastChat"}
    with caplog.at_level(logging.WARNING):
        read_endpoint_file(write(tmp_path, {"a": entry}), {})
    assert "'vision_area'" in caplog.text
    assert "client_name" not in caplog.text


def test_a_missing_sdk_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    entry = {"model_name": "m", "api_type": "anthropic", "api_key": "k"}
    with pytest.raises(MissingPackage, match=r"anthropic.*fschat\[hosted\]"):
        read_endpoint_file(write(tmp_path, {"a": entry}), {})


def test_an_endpoint_is_what_a_controller_would_have_told() -> None:
    entry = EndpointEntry.model_validate({"model_name": "m", "api_type": "anthropic", "api_key": "k"})
    endpoint = entry.endpoint("Claude")
    assert isinstance(endpoint, Endpoint)
    told = Announcement.model_validate_json(entry.announcement("Claude").model_dump_json())
    assert told == entry.announcement("Claude"), "it survives the way to a controller"
    assert endpoint.models["Claude"] == told.models[0]
