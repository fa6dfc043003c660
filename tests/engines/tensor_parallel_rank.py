"""One of the processes that hold a model's weights together: `torchrun … tensor_parallel_rank.py MODEL LOGITS`.

Each loads its part of every matrix (`tp_plan="auto"`, over gloo on CPUs); the first writes the logits they agree on and
how much of the weights it holds itself.
"""

import sys
from pathlib import Path

import torch
import torch.distributed
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM

PROMPT = torch.arange(1, 25).reshape(2, 12)


@torch.inference_mode()
def main(model_path: str, target: Path) -> None:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(model_path, tp_plan="auto", dtype=torch.float32)
    logits = model(PROMPT).logits
    logits = logits.full_tensor() if isinstance(logits, DTensor) else logits
    held = sum(_local(parameter).numel() for parameter in model.parameters())
    if torch.distributed.get_rank() == 0:
        save_file({"logits": logits.contiguous(), "held": torch.tensor(held)}, target)
    torch.distributed.destroy_process_group()


def _local(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.to_local() if isinstance(parameter, DTensor) else parameter


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
