"""Whether models fit on a machine: sums, names, shares of GPUs."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.config import HostedModel, LocalModel
from fastchat.launcher.memory import GB, Estimate, estimate
from fastchat.launcher.plan import Machine, PlannedModel, make_plan, misfits, summary, survey
from tests.engines.gguf_files import header

ROOMY = Machine(memory_bytes=1000 * GB, gpus=2)


def planned(name: str, gigabytes: float = 0.1, *, replicas: int = 1, **fields: object) -> PlannedModel:
    entry = LocalModel.model_validate({"model": f"{name}.gguf", "names": [name], "replicas": replicas} | fields)
    return PlannedModel(entry, "llamacpp", Estimate(weights=round(gigabytes * GB), overhead=0), replicas)


def complaints(*models: PlannedModel, machine: Machine = ROOMY) -> list[str]:
    return [problem.message for problem in misfits(models, machine)]


def test_models_that_fit_raise_no_complaint() -> None:
    assert complaints(planned("a", 14.2), planned("b", 16.8), machine=Machine(31 * GB)) == []


def test_models_that_do_not_fit_are_refused_with_the_sum() -> None:
    [complaint] = complaints(planned("a", 14.2), planned("b", 8.4, replicas=2), machine=Machine(round(22.9 * GB)))

    assert complaint.startswith("needs 31.0 GB: a 14.2 + b 2 × 8.4; available 22.9 GB.")


def test_a_hosted_model_takes_no_memory() -> None:
    hosted = PlannedModel(HostedModel(endpoint="https://host", model="large"))

    assert complaints(hosted, machine=Machine(0)) == []


def test_a_name_belongs_to_one_model() -> None:
    [complaint] = complaints(planned("a"), planned("b", names=["x", "a"]))

    assert complaint == "the name 'a' is taken by a.gguf; only replicas of one model share a name"


def test_an_adapter_takes_its_name_too() -> None:
    assert len(complaints(planned("pirate"), planned("b", adapters={"pirate": "pirate.gguf"}))) == 1


def test_replicas_of_one_model_share_a_name() -> None:
    assert complaints(planned("a", gpus=[0]), planned("a", gpus=[1])) == []


def test_shares_of_a_gpu_may_add_up_to_all_of_it() -> None:
    thirds = [planned(name, gpus=[0], gpu_memory_fraction=fraction) for name, fraction in (("a", 0.7), ("b", 0.3))]

    assert complaints(*thirds) == []


def test_a_gpu_is_not_given_away_twice() -> None:
    [complaint] = complaints(
        planned("a", gpus=[0, 1], gpu_memory_fraction=0.6), planned("b", gpus=[1], gpu_memory_fraction=0.5)
    )

    assert complaint.startswith("GPU 1 is given away more than once: a 0.60 + b 0.50; available 1.00.")


def test_each_replica_takes_its_share_of_the_gpu() -> None:
    [complaint] = complaints(planned("a", gpus=[0], gpu_memory_fraction=0.6, replicas=2))

    assert "a 1.20" in complaint


def test_a_model_without_a_fraction_takes_the_gpu_alone() -> None:
    assert len(complaints(planned("a", gpus=[0]), planned("b", gpus=[0], gpu_memory_fraction=0.1))) == 1


def test_a_gpu_that_is_not_there_is_named() -> None:
    assert complaints(planned("a", gpus=[2])) == ["there is no GPU 2 here; allowed: 0, 1"]


def test_an_engine_nobody_installed_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        SetupError, match=r"There is no engine 'abacus'\. Allowed: auto, hf, llamacpp, openvino, scripted"
    ):
        survey(LocalModel(model="scripted", engine="abacus"))


def test_a_file_that_is_not_there_is_refused_with_its_place() -> None:
    with pytest.raises(SetupError, match=r"^line 7: models\[1\]: There is no model at 'missing\.gguf'"):
        make_plan([LocalModel(model="scripted"), LocalModel(model="missing.gguf")], ROOMY, lambda place: "line 7: ")


def test_a_scripted_model_takes_one_small_process() -> None:
    model = survey(LocalModel(model="scripted", replicas=3))

    assert (model.engine, model.replicas, model.estimate) == ("scripted", 3, Estimate())


def test_a_launched_server_needs_its_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = LocalModel(model="org/model", engine="mlx")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="MLX is not installed here"):
        survey(entry)
    (tmp_path / "mlx_lm.server").touch(mode=0o755)

    assert str(survey(entry)) == "model: org/model with mlx, 1 worker, of unknown size"


def test_weights_of_unknown_size_are_said_to_be_unknown(tmp_path: Path) -> None:
    entry = LocalModel(model=str(tmp_path), engine="theirs")

    assert "of unknown size" in str(PlannedModel(entry, "theirs", estimate(entry, "theirs", tmp_path), 1))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"engine_args": {"threads": False}}, "engine 'llamacpp': threads: .*Allowed: threads, "),
        ({"context_length": 99999}, "was trained for 8192 tokens; a context of 99999 is too long for it"),
        ({"adapters": {"pirate": "/nowhere/pirate.gguf"}}, "There is no file '/nowhere/pirate.gguf'"),
        ({"gpus": [0], "gpu_memory_fraction": 0.5}, "gpu_memory_fraction: Extra inputs are not permitted"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_before_it_starts(
    tmp_path: Path, fields: dict[str, object], complaint: str
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(header({"general.architecture": "llama", "llama.context_length": 8192}))

    with pytest.raises(SetupError, match=complaint):
        survey(LocalModel.model_validate({"model": str(file), **fields}))


def test_what_is_too_much_is_said_of_the_largest_model() -> None:
    [problem] = misfits([planned("a", 1), planned("b", 3), planned("c", 2)], Machine(5 * GB))

    assert problem.place == ("models", 1)


def test_a_crowded_gpu_is_said_of_the_last_model_that_takes_it() -> None:
    [problem] = misfits([planned("a", gpus=[0]), planned("b", gpus=[0]), planned("c")], ROOMY)

    assert problem.place == ("models", 1)


def test_the_summary_has_a_line_a_model_and_the_total() -> None:
    hosted = PlannedModel(HostedModel(endpoint="https://host/v1", model="large", names=("x", "y")))

    assert summary([planned("a", 2, replicas=2), hosted], Machine(8 * GB)) == [
        "a: a.gguf with llamacpp, 2 workers, 4.0 GB",
        "x, y: large at https://host",
        "together 4.0 GB of memory; available 8.0 GB",
    ]


def test_what_the_entry_says_of_loading_reaches_the_engines_check(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512, "quantization_config": {}}')
    (tmp_path / "model.safetensors").touch()
    for fields, complaint in (
        ({"load_8bit": True}, "quantised already"),
        ({"max_gpu_memory": "lots"}, "Write it like 8GiB"),
        ({"device": "cpu", "num_gpus": 2}, "--num-gpus is for GPUs"),
        ({"conv_template": "no-such-format"}, "no-such-format"),
    ):
        with pytest.raises(SetupError, match=complaint):
            survey(LocalModel.model_validate({"model": str(tmp_path), "engine": "hf"} | fields))
