"""Models fetched from a hub: which files, taken up where it broke, checked, and errors one can act on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastchat.core.errors import SetupError
from fastchat.model.pull import Hub, HubName, RemoteFile, choose_files
from tests.model.hub import COMMIT, FakeHub

WEIGHTS = bytes(range(256)) * 4000
MODEL = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "chat_template.jinja": b"{{ x }}",
    "README.md": b"read me",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": WEIGHTS,
    "consolidated.safetensors": WEIGHTS,
    "onnx/model.onnx": WEIGHTS,
    "original/params.json": b"{}",
}


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with FakeHub(files={"org/model": dict(MODEL)}).running() as hub:
        yield hub


@pytest.fixture
def hub(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the library waits a second before it goes on
    return Hub(fake.url, tmp_path / "cache")


def test_what_an_engine_needs_is_fetched_and_found_again(fake: FakeHub, hub: Hub) -> None:
    name = HubName("org/model")
    assert hub.locate(name) is None
    pulled = hub.pull(name)
    assert sorted(path.name for path in pulled.path.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert (pulled.path / "model.safetensors").read_bytes() == WEIGHTS
    assert pulled.revision == COMMIT
    assert hub.locate(name) == hub.locate(HubName("org/model", revision=COMMIT)) == pulled.path
    assert hub.locate(name, "other") is None
    before = len(fake.downloads())
    again = hub.pull(name)
    assert len(fake.downloads()) == before
    assert again.fetched_bytes == 0


def test_a_broken_connection_is_taken_up_where_it_broke(
    fake: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 2**16)
    fake.break_at["model.safetensors"] = 300_000
    pulled = hub.pull(HubName("org/model"))
    assert (pulled.path / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [request for request in fake.downloads() if "bytes=" in request]
    assert len(ranges) == 1
    assert 0 < int(ranges[0].rpartition("bytes=")[2].rstrip("-")) <= 300_000


def test_an_interrupted_pull_keeps_its_files(fake: FakeHub, hub: Hub) -> None:
    fake.spoilt.add("model.safetensors")
    with pytest.raises(SetupError, match="another SHA-256"):
        hub.pull(HubName("org/model"))
    assert hub.locate(HubName("org/model")) is None
    fake.spoilt.clear()
    fake.requests.clear()
    hub.pull(HubName("org/model"))
    assert [request.rpartition("/")[2] for request in fake.downloads()] == ["model.safetensors"]


def test_an_incomplete_cache_is_no_model(fake: FakeHub, hub: Hub) -> None:
    pulled = hub.pull(HubName("org/model"))
    (pulled.path / "model.safetensors").unlink()
    assert hub.locate(HubName("org/model")) is None


@pytest.mark.parametrize(
    ("name", "revision", "words"),
    [
        (HubName("org/modle"), "main", ["no model 'org/modle'", "HF_TOKEN", "./folder"]),
        (HubName("org/model"), "v9", ["no branch, tag or commit 'v9'"]),
        (HubName("org/model", revision="v8"), "main", ["'v8'"]),
        (HubName("org/gated"), "main", ["accepted its terms", "HF_TOKEN", "/org/gated"]),
        (HubName("org/model", "Q4_0"), "main", ["there is none"]),
    ],
)
def test_errors_say_what_to_do(fake: FakeHub, hub: Hub, name: HubName, revision: str, words: list[str]) -> None:
    fake.files["org/gated"] = dict(MODEL)
    fake.gated.add("org/gated")
    with pytest.raises(SetupError) as caught:
        hub.pull(name, revision)
    assert all(word in caught.value.message for word in words)


def test_no_hub_at_all(tmp_path: Path) -> None:
    with FakeHub().running() as gone:
        url = gone.url
    with pytest.raises(SetupError, match="cannot be reached"):
        Hub(url, tmp_path).pull(HubName("org/model"))


def test_a_small_disk_is_said_before(hub: Hub, monkeypatch: pytest.MonkeyPatch, fake: FakeHub) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(SetupError, match="HF_HOME"):
        hub.pull(HubName("org/model"))
    assert fake.downloads() == []


def test_ggufs_by_quantisation(fake: FakeHub, hub: Hub) -> None:
    parts = {f"big-Q8_0-0000{number}-of-00002.gguf": bytes([number]) * 10 for number in (1, 2)}
    fake.files["org/quants"] = {"m-Q4_K_M.gguf": b"4", "m-Q4_K_S.gguf": b"s", "config.json": b"{}", **parts}
    assert hub.pull(HubName("org/quants")).path.name == "m-Q4_K_M.gguf"
    assert hub.pull(HubName("org/quants", "q4_k_s")).path.name == "m-Q4_K_S.gguf"
    assert hub.pull(HubName("org/quants", "m-Q4_K_S.gguf")).path.name == "m-Q4_K_S.gguf"
    whole = hub.pull(HubName("org/quants", "Q8_0")).path
    assert whole.name == "big-Q8_0-00001-of-00002.gguf"
    assert hub.locate(HubName("org/quants", "Q8_0")) == whole
    (whole.parent / "big-Q8_0-00002-of-00002.gguf").unlink()
    assert hub.locate(HubName("org/quants", "Q8_0")) is None
    with pytest.raises(SetupError, match=r"org/quants:FILE.*m-Q4_K_M\.gguf"):
        hub.pull(HubName("org/quants", "Q2_K"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a.gguf", "model.safetensors", "config.json"], ["config.json", "model.safetensors"]),
        (["pytorch_model.bin", "config.json", "training_args.bin"], ["config.json", "pytorch_model.bin"]),
        (["only.gguf", "README.md"], ["only.gguf"]),
        (["adapter_config.json", "adapter_model.safetensors"], ["adapter_config.json", "adapter_model.safetensors"]),
        (["model.safetensors", "1_Pooling/config.json"], ["1_Pooling/config.json", "model.safetensors"]),
    ],
)
def test_one_format_is_chosen(names: list[str], chosen: list[str]) -> None:
    files = [RemoteFile(name, 1, None) for name in names]
    assert [file.name for file in choose_files(HubName("org/model"), files)] == chosen


@pytest.mark.parametrize("names", [["README.md"], ["a-Q5_0.gguf", "a-Q8_0.gguf"], ["model.onnx"]])
def test_nothing_to_choose_is_an_error(names: list[str]) -> None:
    with pytest.raises(SetupError, match="org/model"):
        choose_files(HubName("org/model"), [RemoteFile(name, 1, None) for name in names])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("org/model", HubName("org/model")),
        ("lmsys/vicuna-7b-v1.5@main", HubName("lmsys/vicuna-7b-v1.5", None, "main")),
        ("org/m-GGUF:Q4_K_M", HubName("org/m-GGUF", "Q4_K_M")),
        ("org/m:sub/f.gguf@abc", HubName("org/m", "sub/f.gguf", "abc")),
        ("folder/file.gguf", None),
        ("model", None),
        ("./org/model", None),
        ("/org/model", None),
        ("a/b/c", None),
        ("scripted:fast", None),
    ],
)
def test_names(text: str, name: HubName | None) -> None:
    assert HubName.parse(text) == name


def test_the_command_honours_the_environment(fake: FakeHub, tmp_path: Path) -> None:
    fake.gated.add("org/model")
    environ = {**os.environ, "HF_ENDPOINT": fake.url, "HF_HOME": str(tmp_path), "HF_TOKEN": fake.token}
    environ.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "fastchat", "pull", "org/model", "--revision", "main"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip(), "model.safetensors").read_bytes() == WEIGHTS
    offline = environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    done = subprocess.run(command, env=offline, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "HF_HUB_OFFLINE" in done.stderr
    assert "Traceback" not in done.stderr
