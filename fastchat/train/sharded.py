"""Training by plain torch: FSDP2 (`fully_shard`), on NCCL or gloo, with sharded checkpoints (DCP).

Each process keeps a part of weights, gradients and optimizer. There is no Trainer in between, so that it is the same on
two CPUs as on many GPUs; under Trainer, processes without GPUs would each hold the whole model (DDP).
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from fastchat.core.errors import SetupError
from fastchat.train.batches import IGNORED
from fastchat.train.checkpoints import STATE, complete
from fastchat.train.output_folder import claimed, go_on
from fastchat.train.packing import PackedRows, share
from fastchat.train.plan import TrainingPlan
from fastchat.train.sft import Lessons
from fastchat.train.tuning import begin, open_base

_KIND = "sharded"


@dataclass(slots=True)
class Progress:
    """Where a run stands; `trainer_state.json` of a checkpoint."""

    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        (folder / STATE).write_text(json.dumps({"global_step": self.step, "log_history": self.history}, indent=2))

    @classmethod
    def read(cls, folder: Path) -> "Progress":
        values = json.loads((folder / STATE).read_text())
        return cls(values["global_step"], values["log_history"])


def tune_sharded(plan: TrainingPlan, say: Callable[[str], None]) -> Path:
    """Train, and return the folder of the tuned model. A folder with checkpoints is gone on with.

    Raises:
        SetupError: the plan has an adapter, or an encoder-decoder; see also `tuning.begin`.
    """
    if plan.adapter:
        raise SetupError("loop: torch trains whole models. Adapters are trained with loop: trainer.")
    base = open_base(plan, say)
    if base.config.is_encoder_decoder:
        raise SetupError("loop: torch trains causal models. Encoder-decoders are trained with loop: trainer.")
    output = Path(plan.arguments.output_dir)
    with claimed(output, base.folder), _joined(plan.arguments.device):
        model, lessons, origin = begin(plan, base, say)
        begin_with = go_on(output, origin, say, _KIND)
        run = _Run(plan.arguments, model, lessons)
        if begin_with:
            run.restore(begin_with)
        for note in run.updates():
            say(" ".join(f"{key} {value:.6g}" for key, value in note.items()))
            if run.progress.step % plan.arguments.save_steps == 0:
                folder = output / f"{_KIND}-{run.progress.step}"
                run.save(folder)
                if dist.get_rank() == 0:
                    origin.write(folder, steps=run.progress.step)
        weights = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if dist.get_rank() == 0:
            model.save_pretrained(output, state_dict=weights)
            base.tokenizer.save_pretrained(output)
            run.progress.write(output)
            losses = [entry["loss"] for entry in run.progress.history]
            origin.write(output, steps=run.progress.step, epoch=run.epochs, losses=losses)
        dist.barrier()
    return output


def shard(model: Any, device: torch.device, dtype: torch.dtype) -> None:
    """Each of the model's layers is gathered by itself when it computes, in `dtype`; gradients are added in float32."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    model.to(device)
    for layer in list(model.modules()):
        if type(layer).__name__ in (model._no_split_modules or ()):
            fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


class _Run:
    def __init__(self, arguments: Any, model: Any, lessons: Lessons) -> None:
        from transformers import get_scheduler

        self.arguments = arguments
        self.model = model
        self.lessons = lessons
        self.progress = Progress()
        if arguments.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        shard(model, arguments.device, torch.bfloat16 if arguments.bf16 else torch.float32)
        model.train()
        self.optimizer = torch.optim.AdamW(
            _groups(model, arguments.weight_decay),
            lr=arguments.learning_rate,
            betas=(arguments.adam_beta1, arguments.adam_beta2),
            eps=arguments.adam_epsilon,
        )
        self.scheduler = get_scheduler(
            arguments.lr_scheduler_type,
            self.optimizer,
            num_warmup_steps=arguments.get_warmup_steps(self.steps),
            num_training_steps=self.steps,
        )

    @property
    def steps_per_epoch(self) -> int:
        rows = self.arguments.per_device_train_batch_size * self.arguments.gradient_accumulation_steps
        return int(-(-len(self.lessons.train) // (rows * dist.get_world_size())))

    @property
    def steps(self) -> int:
        if self.arguments.max_steps > 0:
            return int(self.arguments.max_steps)
        epochs: float = self.arguments.num_train_epochs
        return round(self.steps_per_epoch * epochs)

    @property
    def epochs(self) -> float:
        return self.progress.step / self.steps_per_epoch

    def updates(self) -> Iterator[dict[str, float]]:
        """Train to the end; after each update, what there is to say of it."""
        while self.progress.step < self.steps:
            epoch, done = divmod(self.progress.step, self.steps_per_epoch)
            for number, rows in enumerate(self._rows(epoch)):
                if number >= done and self.progress.step < self.steps:
                    yield self._update([self._batch(batch) for batch in rows])

    def _rows(self, epoch: int) -> Iterator[Sequence[list[int]]]:
        """The numbers of this process's rows: by update, and in an update by batch."""
        train, size = self.lessons.train, self.arguments.per_device_train_batch_size
        order: Sequence[int] = range(len(train))
        if isinstance(train, PackedRows):
            train.set_epoch(epoch)  # which shuffles them
        else:
            draw = torch.Generator().manual_seed(self.arguments.seed + epoch)
            order = torch.randperm(len(train), generator=draw).tolist()
        mine = share(order, dist.get_rank(), dist.get_world_size(), size)
        while update := list(islice(mine, self.arguments.gradient_accumulation_steps)):
            yield update

    def _batch(self, rows: list[int]) -> dict[str, Any]:
        batch = self.lessons.collate([self.lessons.train[row] for row in rows])
        device = self.arguments.device
        return {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}

    def _update(self, batches: Sequence[dict[str, Any]]) -> dict[str, float]:
        """The mean over the trained tokens of all processes, so that it does not matter who had which."""
        trained = torch.stack([batch["labels"][:, 1:].ne(IGNORED).sum() for batch in batches]).sum()
        dist.all_reduce(trained)
        whole = torch.zeros((), device=self.arguments.device)
        for number, batch in enumerate(batches):
            self.model.set_requires_gradient_sync(number == len(batches) - 1)
            loss = self._sum_of_losses(batch) / trained
            (loss * dist.get_world_size()).backward()  # FSDP divides gradients by it
            whole += loss.detach()
        dist.all_reduce(whole)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.arguments.max_grad_norm)
        rate = self.scheduler.get_last_lr()[0]
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self.progress.step += 1
        entry = {
            "step": float(self.progress.step),
            "loss": float(whole),
            "grad_norm": float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm),
            "learning_rate": rate,
        }
        self.progress.history.append(entry)
        return entry

    def _sum_of_losses(self, batch: dict[str, Any]) -> torch.Tensor:
        labels, weights = batch.pop("labels")[:, 1:], batch.pop("loss_weights", None)
        logits = self.model(**batch, use_cache=False).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        return (losses if weights is None else losses * weights[:, 1:].flatten()).sum()

    def save(self, folder: Path) -> None:
        """Each process writes its part; the file that says it is whole is written last."""
        try:
            dcp.save(self._state(), checkpoint_id=folder)
        except CheckpointException as error:  # which is no Exception, and holds what happened in each process
            failures = [failure for failure, _ in error.failures.values() if isinstance(failure, OSError)]
            raise failures[0] if failures else error from None
        dist.barrier()
        if dist.get_rank() == 0:
            self.progress.write(folder)
            for old in complete(folder.parent, _KIND)[: -(self.arguments.save_total_limit or sys.maxsize)]:
                shutil.rmtree(old)

    def restore(self, folder: Path) -> None:
        """Also what another number of processes has written."""
        state = self._state()
        dcp.load(state, checkpoint_id=folder)
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.progress = Progress.read(folder)

    def _state(self) -> dict[str, Any]:
        weights, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": weights, "optimizer": optimizer, "scheduler": self.scheduler.state_dict()}


def _groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; norms and biases do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


@contextmanager
def _joined(device: torch.device) -> Iterator[None]:
    """torchrun's processes have met already, when transformers asked for the device; one alone meets itself."""
    if dist.is_initialized():
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()
