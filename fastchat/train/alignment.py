"""Preference tuning from a plan to a folder that can be served: DPO, KTO and reward models, by TRL.

dpo     the chosen answer becomes likelier than the rejected one, against the model it began as (2305.18290)
kto     wanted answers become likelier and unwanted ones less likely (2402.01306); ties teach, too
reward  a model that gives a conversation a number, the higher the sooner people would choose it
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.engines.hf.errors import loading_errors
from fastchat.train import adapters, lineage
from fastchat.train.alignment_plan import AlignmentPlan
from fastchat.train.encoding import Encoder
from fastchat.train.lineage import DataFile, Lineage
from fastchat.train.loading import agree, load_model
from fastchat.train.output_folder import claimed, go_on
from fastchat.train.plan import TrainingPlan
from fastchat.train.preference_samples import Samples, pairs, rated_samples
from fastchat.train.tuning import Base, open_base

_ACCURACIES = ("eval_rewards/accuracies", "eval_accuracy")  # as DPO and reward trainers call them
_REFERENCE = "ref"  # TRL's name for the adapter that it compares with


class HeldOut(NamedTuple):
    """On questions that were not trained on. No win rate: that only battles tell."""

    lessons: int
    loss: float
    accuracy: float | None  # share of the pairs whose chosen answer is rated higher; KTO compares no pairs

    @property
    def words(self) -> str:
        told = "" if self.accuracy is None else f", {self.accuracy:.0%} of pairs told apart"
        return f"on {self.lessons} held-out lessons: loss {self.loss:.3f}{told}; who wins, only battles tell"


class Aligned(NamedTuple):
    folder: Path
    held_out: HeldOut | None


def align(plan: AlignmentPlan, say: Callable[[str], None]) -> Aligned:
    """A folder with checkpoints is gone on with.

    Raises:
        SetupError: see `tuning.open_base`, `preference_samples`, `output_folder` and `loading.load_model`.
    """
    from fastchat.train.journal import Journal
    from fastchat.train.trainer import LineageKeeper

    arguments, output = plan.training.arguments, Path(plan.training.arguments.output_dir)
    base = open_base(plan.training, say)
    if base.config.is_encoder_decoder:
        raise SetupError(f"{plan.training.model.path} is an encoder-decoder, which TRL does not tune by preferences.")
    samples = _samples(plan, base)
    origin = _lineage(plan, base, samples)
    arguments.remove_unused_columns = False  # our datasets hold numbers of samples
    arguments.per_device_eval_batch_size = _eval_batch(plan)
    with claimed(output, base.folder), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing.*is deprecated", FutureWarning)  # TRL's own calls
        begin_with = go_on(output, origin, say)
        trainer = _trainer(plan, base, samples, [LineageKeeper(origin), Journal()])
        trainer.train(resume_from_checkpoint=None if begin_with is None else str(begin_with))
        held_out = _measured(trainer, len(samples.held_out)) if samples.held_out else None
        _save(trainer, plan, base, output)
        if arguments.should_save:
            result = held_out._asdict() if held_out else None
            origin.write(output, **{**LineageKeeper.progress(trainer.state), "held_out": result})
    return Aligned(output, held_out)


def _samples(plan: AlignmentPlan, base: Base) -> Samples:
    encoder = Encoder(base.tokenizer, base.chat_format, max_length=plan.training.data.max_length)
    train, held_out = plan.lessons.train, plan.lessons.held_out
    if plan.method == "kto":
        return rated_samples(train, held_out, encoder, plan.training.arguments.seed)  # type: ignore[arg-type]
    return pairs(train, held_out, encoder)  # type: ignore[arg-type]


def _eval_batch(plan: AlignmentPlan) -> int:
    """One: TRL gives the mean over batches, and only so is that the mean over pairs. KTO has to compare with others."""
    return int(plan.training.arguments.per_device_train_batch_size) if plan.method == "kto" else 1


def _trainer(plan: AlignmentPlan, base: Base, samples: Samples, callbacks: list[Any]) -> Any:
    from transformers import set_seed

    from fastchat.train import alignment_trainers as trl

    arguments, adapter = plan.training.arguments, plan.training.adapter
    set_seed(arguments.seed)  # adapters and heads begin with numbers that are drawn
    load = _load_scorer if plan.method == "reward" else load_model
    model = load(plan.training, base.folder, base.config)
    agree(model, base.tokenizer, base.chat_format, base.pad_token_id)
    if adapter:
        model = adapters.attach(
            model,
            adapter,
            is_seq2seq=False,
            is_scorer=plan.method == "reward",
            checkpoints_activations=arguments.gradient_checkpointing,
        )
    every = [*samples.train, *samples.held_out]
    more: dict[str, Any] = {
        "model": model,
        "args": arguments,
        "train_dataset": trl.rows(0, len(samples.train)),
        "eval_dataset": trl.rows(len(samples.train), len(samples.held_out)) if samples.held_out else None,
        "processing_class": base.tokenizer,
        "callbacks": callbacks,
    }
    if plan.method == "reward":
        return trl.RewardTuner(data_collator=trl.PairsBatch(every, base.pad_token_id, is_masked=False), **more)
    if not adapter:
        more["ref_model"] = load_model(plan.training, base.folder, base.config)
    if plan.method == "dpo":
        trainer = trl.DpoTuner(data_collator=trl.PairsBatch(every, base.pad_token_id), **more)
    else:
        collate = trl.RatedBatch(every, base.pad_token_id, plan.training.data.max_length)
        trainer = trl.KtoTuner(data_collator=collate, **more)
    if adapter and not adapter.begin_with:
        trainer.model.delete_adapter(_REFERENCE)  # of an adapter that says nothing yet: the base does
    return trainer


def _load_scorer(plan: TrainingPlan, folder: Path, config: Any) -> Any:
    """With a head that is random yet."""
    import torch
    import transformers

    if plan.adapter and plan.adapter.quantize:
        raise SetupError("lora.quantize: a reward model's base is not rounded. Leave it out.")
    dtype = torch.bfloat16 if plan.adapter and plan.arguments.bf16 else torch.float32
    config.num_labels = 1
    with loading_errors(folder):
        return transformers.AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            trust_remote_code=plan.model.trust_remote_code,
            local_files_only=True,
            weights_only=True,
        )


def _measured(trainer: Any, lessons: int) -> HeldOut:
    found = trainer.evaluate()
    accuracy = next((float(found[name]) for name in _ACCURACIES if name in found), None)
    return HeldOut(lessons, float(found["eval_loss"]), accuracy)


def _save(trainer: Any, plan: AlignmentPlan, base: Base, output: Path) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True  # it was off for training only
    trainer.save_state()
    if plan.training.adapter and _REFERENCE in model.peft_config:
        model.delete_adapter(_REFERENCE)
    if plan.merges and plan.training.adapter:
        if plan.training.arguments.should_save:
            model.merge_and_unload().save_pretrained(output)
            base.tokenizer.save_pretrained(output)
    else:
        trainer.save_model()
    if plan.training.arguments.should_save:
        if plan.method != "reward":
            model.generation_config.save_pretrained(output)  # PEFT saves none beside an adapter
        (output / "training_args.bin").unlink(missing_ok=True)  # a pickle; the lineage says it readably


def _lineage(plan: AlignmentPlan, base: Base, samples: Samples) -> Lineage:
    training = plan.training
    return Lineage(
        method=plan.method,
        base=training.model.path,
        base_config=lineage.file_digest(base.folder / "config.json"),
        base_lineage=lineage.read(base.folder),
        prompt_format=base.chat_format.name,
        prompt_format_digest=base.chat_format.digest,
        data=[DataFile.of(file) for file in training.data.files],
        conversations=len(plan.lessons.train),
        samples=len(samples.train),
        trained_tokens=samples.trained_tokens,
        told={**training.told, **plan.lessons.told},
        votes=plan.lessons.votes,
    )
