"""Tensor parallelism is really run: two processes hold half of the weights each and answer like one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.model]

RANK = Path(__file__).parent / "tensor_parallel_rank.py"


def test_two_processes_with_half_the_weights_give_the_logits_of_one(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from safetensors.torch import load_file

    from tests.engines import tiny_models
    from tests.engines.tensor_parallel_rank import PROMPT

    folder = tiny_models.llama(tmp_path / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        alone = model(PROMPT).logits

    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(RANK)]
    environ = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [*command, str(folder), str(tmp_path / "logits.safetensors")],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = load_file(tmp_path / "logits.safetensors")
    assert found["logits"].shape == alone.shape
    assert torch.allclose(found["logits"], alone, atol=1e-5)
    whole = sum(parameter.numel() for parameter in model.parameters())
    assert found["held"].item() < 0.8 * whole  # embeddings and norms are held by both
