"""A training run from its plan to a folder that can be served. The engine behind FastChat's flags and behind recipes.

plan ─► base, tokenizer, prompt format ─► token stores ─► rows and batches ─► Trainer ─► weights, lineage
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.train import adapters, batch_size, lineage, seq2seq, sft
from fastchat.train.attention import keeps_apart
from fastchat.train.batch_size import BatchSize
from fastchat.train.chat_format import ChatFormat, find_format
from fastchat.train.checks import pad_token_id
from fastchat.train.encoding import Encoder
from fastchat.train.examples import Examples, prepare
from fastchat.train.lineage import DataFile, Lineage
from fastchat.train.loading import agree, base_folder, load_config, load_model, load_tokenizer
from fastchat.train.longer_context import stretch
from fastchat.train.output_folder import claimed, go_on
from fastchat.train.plan import TrainingPlan
from fastchat.train.win_rate import Judge


class Base(NamedTuple):
    """What is known before the weights are loaded."""

    folder: Path
    config: Any
    tokenizer: Any
    chat_format: ChatFormat
    pad_token_id: int


def open_base(plan: TrainingPlan, say: Callable[[str], None]) -> Base:
    """
    Raises:
        SetupError: there is no such model, or it does not fit the plan.
    """
    folder = base_folder(plan.model.path)
    config = load_config(folder, trust_remote_code=plan.model.trust_remote_code)
    if factor := stretch(config, plan.data.max_length, plan.model.scaling):
        say(f"positions are scaled ({plan.model.scaling}) by {factor:g}, for rows of {plan.data.max_length} tokens")
    tokenizer = load_tokenizer(folder, plan.data.max_length, trust_remote_code=plan.model.trust_remote_code)
    if config.is_encoder_decoder and (taught := seq2seq.teach_code(tokenizer)):
        say(f"tokens added that the vocabulary could not write: {' '.join(map(repr, taught))}")
    chat_format = find_format(str(folder), tokenizer, plan.data.conv_template)
    for note in chat_format.notes:
        say(note)
    return Base(folder, config, tokenizer, chat_format, pad_token_id(tokenizer, config.vocab_size))


class Begun(NamedTuple):
    """All that a loop needs."""

    model: Any
    lessons: sft.Lessons
    origin: Lineage


def begin(plan: TrainingPlan, base: Base, say: Callable[[str], None]) -> Begun:
    """Encode, load, pack. `say` is told, once, what is done differently from what one might expect.

    Raises:
        SetupError: see `examples.prepare` and `loading.load_model`.
    """
    from transformers import set_seed

    arguments, is_seq2seq = plan.arguments, base.config.is_encoder_decoder
    examples = prepare(
        plan.data,
        lambda: Encoder(base.tokenizer, base.chat_format, max_length=plan.data.max_length, pairs=is_seq2seq),
    )
    if examples.evaluation is None and arguments.eval_strategy != "no":
        raise SetupError("The loss is to be measured, but no conversations are kept back: give a file or a share.")
    set_seed(arguments.seed)  # new embeddings and adapters begin with numbers that are drawn
    model = load_model(plan, base.folder, base.config)
    agree(model, base.tokenizer, base.chat_format, base.pad_token_id)
    if is_seq2seq:
        lessons = seq2seq.pairs(examples, base.pad_token_id)
    elif plan.data.packing and _can_pack(model, say):
        fills_rows = arguments.torch_compile  # shapes that never change are compiled once
        if arguments.train_sampling_strategy == "group_by_length":
            arguments.train_sampling_strategy = "random"
            say("rows are of one length already, so they are not grouped by it")
        lessons = sft.packed(examples, plan.data.max_length, base.pad_token_id, arguments.seed, fills_rows=fills_rows)
    else:
        lessons = sft.padded(examples, base.pad_token_id)
    _fit_batch(plan, len(examples.train), len(lessons.train), say)
    return Begun(model, lessons, _lineage(plan, base, examples))


def tune(plan: TrainingPlan, say: Callable[[str], None], judge: Judge | None = None) -> Path:
    """Train with transformers' Trainer, and return the folder of the tuned model. `judge` compares it with the base.

    A folder with checkpoints is gone on with, as FastChat did.

    Raises:
        SetupError: see `open_base`, `begin`, `claimed` and `go_on`.
    """
    output = Path(plan.arguments.output_dir)
    base = open_base(plan, say)
    with claimed(output, base.folder):
        _train(plan, base, output, say, judge)
    return output


def _train(plan: TrainingPlan, base: Base, output: Path, say: Callable[[str], None], judge: Judge | None) -> None:
    from fastchat.train.judged import judge_along
    from fastchat.train.trainer import EachEpoch, LineageKeeper, Tuner

    arguments = plan.arguments
    model, lessons, origin = begin(plan, base, say)
    begin_with = go_on(output, origin, say)
    if plan.adapter:
        model = adapters.attach(
            model,
            plan.adapter,
            is_seq2seq=base.config.is_encoder_decoder,
            checkpoints_activations=arguments.gradient_checkpointing,
        )
    arguments.remove_unused_columns = False  # our datasets hold samples, not columns
    trainer = Tuner(
        model=model,
        args=arguments,
        train_dataset=lessons.train,
        eval_dataset=lessons.evaluation,
        data_collator=lessons.collate,
        processing_class=base.tokenizer,
        callbacks=[LineageKeeper(origin), EachEpoch(lessons.train)],
    )
    if judge is not None and plan.judging is not None:
        judge_along(trainer, plan, base.tokenizer, base.chat_format, judge, say)
    trainer.train(resume_from_checkpoint=None if begin_with is None else str(begin_with))
    model.config.use_cache = True  # it was off for training only
    trainer.save_state()
    trainer.save_model()
    if arguments.should_save:
        (output / "training_args.bin").unlink(missing_ok=True)  # a pickle; the lineage says it readably
        origin.write(output, **LineageKeeper.progress(trainer.state))


def _can_pack(model: Any, say: Callable[[str], None]) -> bool:
    if keeps_apart(model):
        return True
    say("this model's layers let conversations of one row see each other, so each gets a row of its own")
    return False


def _fit_batch(plan: TrainingPlan, samples: int, rows: int, say: Callable[[str], None]) -> None:
    """An update learns from as many conversations as without packing. DeepSpeed has read the sizes already."""
    arguments = plan.arguments
    before = BatchSize(arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps)
    wanted = plan.batch or before.conversations(1, arguments.world_size)
    size = batch_size.fit(wanted, samples / rows, arguments.world_size, before.per_device)
    if size == before or arguments.deepspeed:
        return
    say(
        f"{samples} samples stand in {rows} rows of {plan.data.max_length} tokens: --per_device_train_batch_size "
        f"{size.per_device} --gradient_accumulation_steps {size.accumulation}, so that an update learns from about "
        f"{size.conversations(samples / rows, arguments.world_size)} of them (asked for: {wanted})"
    )
    arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps = size


def _lineage(plan: TrainingPlan, base: Base, examples: Examples) -> Lineage:
    counts = examples.train.counts
    return Lineage(
        method="lora" if plan.adapter else "sft",
        base=plan.model.path,
        base_config=lineage.file_digest(base.folder / "config.json"),
        base_lineage=lineage.read(base.folder),
        prompt_format=base.chat_format.name,
        prompt_format_digest=base.chat_format.digest,
        data=[DataFile.of(file) for file in plan.data.files],
        conversations=counts.conversations,
        samples=counts.samples,
        trained_tokens=counts.trained,
        told=plan.told,
    )
