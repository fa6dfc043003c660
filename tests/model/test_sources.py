"""What a user may write for a model."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.config import LocalModel
from fastchat.launcher.plan import fetch, survey
from fastchat.model.pull import Hub
from fastchat.model.sources import default_name, is_fetched_later, locate, resolve
from tests.model.hub import FakeHub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("builtin", "smollm2-135m-instruct"),
        ("/path/to/vicuna-7b/", "vicuna-7b"),
        ("folder/m.gguf", "m.gguf"),
        ("lmsys/vicuna-7b-v1.5", "vicuna-7b-v1.5"),
        ("lmsys/vicuna-7b-v1.5@v2", "vicuna-7b-v1.5"),
        ("org/m-GGUF:Q4_0", "m-GGUF"),
        ("scripted:fast", "scripted:fast"),
    ],
)
def test_default_names(path: str, name: str) -> None:
    assert default_name(path) == name


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model-00001-of-00002.bin"])
def test_a_folder_with_a_configuration_is_taken_whole(tmp_path: Path, weights: str) -> None:
    for name in ("config.json", weights, "extra.gguf"):
        (tmp_path / name).write_text("{}")
    assert resolve(f"{tmp_path}/") == str(tmp_path)


def test_a_folder_with_one_gguf_means_that_file(tmp_path: Path) -> None:
    for name in ("config.json", "m.gguf"):
        (tmp_path / name).write_text("{}")
    assert resolve(str(tmp_path)) == str(tmp_path / "m.gguf")


@pytest.mark.parametrize("path", ["missing", "./missing", "/missing/model", "a/b/c", "folder/missing.gguf"])
def test_what_is_not_there_is_an_error_that_names_what_may_be_given(path: str) -> None:
    for function in (resolve, locate):
        with pytest.raises(SetupError, match=r"\.gguf file .* org/model.*'builtin'"):
            function(path)


def test_a_missing_folder_beside_others_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match="There is no model at 'models/mine'"):
        resolve("models/mine")


def test_a_hub_name_is_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeHub(files={"org/model": {"config.json": b"{}", "model.safetensors": b"1"}}).running() as fake:
        monkeypatch.setattr("fastchat.model.sources.Hub", lambda: Hub(fake.url, cache))
        assert is_fetched_later("org/model")
        assert locate("org/model") is None
        assert fake.requests == []
        found = resolve("org/model")
        assert Path(found, "model.safetensors").read_bytes() == b"1"
        fake.requests.clear()
        assert resolve("org/model") == found == str(locate("org/model"))
        assert not is_fetched_later("org/model")
        assert fake.requests == []


def test_a_plan_asks_no_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("asked the hub")

    monkeypatch.setattr(Hub, "pull", refuse)
    model, file = LocalModel(model="org/model"), LocalModel(model="org/model:Q4_0")
    assert survey(model).engine == "hf"
    assert survey(file).engine == "llamacpp"
    assert "of unknown size" in str(survey(model))
    with pytest.raises(AssertionError):
        fetch(model)
