"""transformers' Trainer with what our batches need: weights of samples, and rows that are packed anew in each epoch."""

from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel
from transformers.trainer_pt_utils import LengthGroupedSampler

from fastchat.train.batches import IGNORED
from fastchat.train.lineage import Lineage
from fastchat.train.packing import PackedRows
from fastchat.train.token_store import TokenStore


class Tuner(transformers.Trainer):  # type: ignore[misc]  # transformers has no types for us
    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean over the trained tokens of an update, on all devices; of weighted samples each counts its weight."""
        weights = inputs.pop("loss_weights", None)
        if weights is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = outputs.logits
        if not self.model.config.is_encoder_decoder:
            logits, labels, weights = logits[:, :-1], labels[:, 1:], weights[:, 1:]
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
        )
        items = num_items_in_batch if num_items_in_batch is not None else labels.ne(IGNORED).sum()
        loss = (losses * weights.flatten()).sum() / items
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # over which gradients are averaged
        return (loss, outputs) if return_outputs else loss

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        labels = inputs["labels"] if self.model.config.is_encoder_decoder else inputs["labels"][:, 1:]
        trained = labels.ne(IGNORED).sum()
        loss, *others = super().prediction_step(model, inputs, *args, **kwargs)
        self._measured += torch.stack([loss.double() * trained, trained.double()])
        return loss, *others

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        """The loss is the mean over all trained tokens; Trainer's own is the mean over batches of any size."""
        self._measured = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        losses, tokens = self.accelerator.reduce(self._measured).tolist()
        output.metrics[f"{metric_key_prefix}_loss"] = losses / tokens
        return output

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """PEFT saves an adapter without what ends its answers."""
        super()._save(output_dir, state_dict)
        if isinstance(self.model, PeftModel):
            self.model.get_base_model().generation_config.save_pretrained(output_dir or self.args.output_dir)

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length" or not isinstance(dataset, TokenStore):
            return super()._get_train_sampler(train_dataset)
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(batch, lengths=dataset.lengths.tolist())


class EachEpoch(transformers.TrainerCallback):  # type: ignore[misc]
    """Tells the epoch to rows that are packed anew in each."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if isinstance(self.dataset, PackedRows):
            self.dataset.set_epoch(int(state.epoch or 0))


class LineageKeeper(transformers.TrainerCallback):  # type: ignore[misc]
    """Puts the lineage into every checkpoint."""

    def __init__(self, origin: Lineage) -> None:
        self.origin = origin

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            if folder.is_dir():
                self.origin.write(folder, **self.progress(state))

    @staticmethod
    def progress(state: Any) -> dict[str, Any]:
        def said(key: str) -> list[float]:
            return [entry[key] for entry in state.log_history if key in entry]

        return {
            "steps": state.global_step,
            "epoch": state.epoch,
            "losses": said("loss"),
            "held_out_losses": said("eval_loss"),
        }
