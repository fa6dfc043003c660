from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks import training, training_gpu
from benchmarks.peers.environments import FASTCHAT_DATA, Environment
from benchmarks.training_data import conversations, rounds_of, sample_lengths, spread_evenly, write_tokenizer
from benchmarks.training_gpu_steps import MASKED, PADDED, VARLEN, batches
from benchmarks.training_gpu_steps import Task as GpuTask
from benchmarks.training_gpu_steps import measure as measure_gpu
from benchmarks.training_steps import Task, measure
from fastchat.data.texts import texts


def test_lengths_are_about_those_of_sharegpt() -> None:
    rng = np.random.default_rng(0)
    drawn = [rounds_of(rng) for _ in range(4000)]
    lengths = np.array([sum(map(sum, rounds)) for rounds in drawn])
    assert np.mean([len(rounds) for rounds in drawn]) == pytest.approx(3.5, rel=0.05)
    assert np.quantile(lengths, (0.5, 0.9, 0.99)) == pytest.approx((853, 3730, 10100), rel=0.1)
    split = sample_lengths(drawn, 2048)
    assert split.max() == 2048
    assert len(split) > len(drawn)
    assert spread_evenly(split, 50).mean() == pytest.approx(split.mean(), rel=0.03)


def test_positions_of_each_way_by_hand() -> None:
    found = training.efficiencies(np.array([10, 10, 5, 5]), 10)
    assert found[training.PADDED] == 0.75
    assert found["packed"] == 1
    assert found[f"{training.GROUPED}, batches of 8"] == 0.75


def test_all_ways_learn_the_same_on_fewer_positions() -> None:
    lengths = [20, 150, 60, 256, 90]
    taken = measure(Task(model="tiny", most=256, lengths=lengths, rounds=2))
    positions = {name: one.positions for name, one in taken.items()}
    assert positions[training.PADDED] == 5 * 256
    assert positions[training.PACKED] == sum(lengths)
    assert sorted(positions.values(), reverse=True) == list(positions.values())
    assert all(one.loss == pytest.approx(taken[training.PADDED].loss, abs=1e-5) for one in taken.values())
    assert all(len(one.cpu_s) == 2 and min(one.cpu_s) > 0 for one in taken.values())


def test_preprocessing_is_measured_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "FASTCHAT_DATA", Environment("absent", "fschat"))
    ((name, (ours,)),) = training.preprocessing(20, rounds=1).items()
    assert name == training.OURS
    assert ours.samples >= 20
    assert 0 < ours.trained < ours.tokens <= training.WRITTEN_LENGTH * ours.samples
    assert ours.bytes < 2.2 * ours.tokens + 16 * ours.samples
    assert 0 < ours.mchars_per_cpu_s < 100


@pytest.mark.full
@pytest.mark.skipif(FASTCHAT_DATA.version is None, reason="FastChat 0.2.36 is not installed")
def test_fastchat_trains_the_same_tokens() -> None:
    found = training.preprocessing(50, rounds=1)
    (ours,), (old,) = found[training.OURS], found[training.OLD]
    assert (ours.samples, ours.tokens, ours.trained) == (old.samples, old.tokens, old.trained)


def test_the_tokenizer_is_read_by_old_libraries(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, chain.from_iterable(map(texts, conversations(5))))
    assert '"merges": ["' in (tmp_path / "tokenizer.json").read_text()


def test_batches_for_a_gpu_are_of_one_size_and_packed_ones_are_full() -> None:
    task = GpuTask(shape="tiny", most=1024, rows=2, device="cpu")
    for layout, fewest in ((PADDED, 0), (MASKED, 0.9 * 8 * 1024)):
        work = list(islice(batches(layout, task, 512), 4))
        assert [one.batch["input_ids"].numel() for one in work] == 4 * [2 * 1024]
        assert (max(len(one.lengths) for one in work) == 2) == (layout == PADDED)
        assert sum(one.lengths.sum() for one in work) > fewest


def test_steps_for_a_gpu_run_on_a_cpu_too() -> None:
    task = GpuTask(shape="tiny", most=64, rows=2, steps=1, device="cpu", compiled=[False])
    taken = measure_gpu(task)
    assert [one.layout for one in taken] == [PADDED, MASKED, VARLEN]
    assert all(one.tokens_per_s and not one.failed and one.mfu is None for one in taken)


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_gpu, "_has_gpu", lambda: False)
    findings = training_gpu.run(is_quick=False)
    assert findings.tables[0].rows == (("There was no GPU on this machine.",),)
    assert findings.aims[0].is_met is None
