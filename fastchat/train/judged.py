"""Who wins, while training: the model in training answers questions it does not learn from, at each evaluation or every
few updates, and a judge compares its answers with those of the model it began as.

Training goes on as if nothing had been asked: modes of layers and all generators of random numbers are as they were.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.outputs import write_output
from fastchat.train.chat_format import ChatFormat
from fastchat.train.judged_questions import judged_questions
from fastchat.train.plan import TrainingPlan
from fastchat.train.win_rate import Judge, Pair, Question, win_rate

PREFIX = "eval_judge"  # of what is logged


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers without chance, several questions at a time."""

    tokenizer: Any  # Any: transformers has no types for us
    chat_format: ChatFormat
    max_tokens: int
    batch: int
    half: torch.dtype | None = None  # that is computed in

    def fitting(self, questions: Sequence[Question], config: Any) -> list[Question]:
        """Those that leave room for an answer."""
        limit = getattr(config, "max_position_embeddings", None)
        if limit is None:
            return list(questions)
        lengths = map(len, self._encode(questions, config.is_encoder_decoder))
        return [one for one, length in zip(questions, lengths, strict=True) if length + self.max_tokens <= limit]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def answers(self, model: Any, questions: Sequence[Question]) -> list[str]:
        """In the order of the questions."""
        is_seq2seq = model.config.is_encoder_decoder
        ids = self._encode(questions, is_seq2seq)
        answers = [""] * len(ids)
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))  # so that little is padded
        with undisturbed(model), torch.autocast(model.device.type, self.half, enabled=self.half is not None):
            for begin in range(0, len(order), self.batch):
                places = order[begin : begin + self.batch]
                width = len(ids[places[-1]])
                rows = [[self.tokenizer.pad_token_id] * (width - len(ids[at])) + ids[at] for at in places]
                seen = [[0] * (width - len(ids[at])) + [1] * len(ids[at]) for at in places]
                said = model.generate(
                    input_ids=torch.tensor(rows, device=model.device),
                    attention_mask=torch.tensor(seen, device=model.device),
                    generation_config=self._generation(model),
                    **self._stopping(),
                )
                for at, row in zip(places, said, strict=True):
                    answers[at] = self._text(row if is_seq2seq else row[width:])
        return answers

    def _encode(self, questions: Sequence[Question], is_seq2seq: bool) -> list[list[int]]:
        texts = [self.chat_format.text(one.messages, add_generation_prompt=True) for one in questions]
        end = self.chat_format.tokens.get("eos_token", "") if is_seq2seq else ""
        encoded = self.tokenizer([text + end for text in texts], add_special_tokens=False)["input_ids"]
        return [list(ids) for ids in encoded]

    def _generation(self, model: Any) -> Any:
        config = deepcopy(model.generation_config)
        config.update(do_sample=False, num_beams=1, max_new_tokens=self.max_tokens, max_length=None, use_cache=True)
        config.update(temperature=None, top_p=None, top_k=None)
        return config

    def _stopping(self) -> dict[str, Any]:
        stops = list(self.chat_format.stop_strings)
        return {"stop_strings": stops, "tokenizer": self.tokenizer} if stops else {}

    def _text(self, tokens: Any) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        ends = [at for stop in self.chat_format.stop_strings if (at := text.find(stop)) >= 0]
        return text[: min(ends, default=len(text))].strip()


class Judged(transformers.TrainerCallback):  # type: ignore[misc]
    """`begin` before training; `log` is the trainer's. With `every`, so many updates lie between two rounds.

    folder/base.jsonl        {"id": …, "messages": […], "answer": …}, what the base says
    folder/step-100.jsonl    {"id": …, "answer": …, "base": …, "score": 0.5}
    """

    def __init__(
        self,
        questions: Sequence[Question],
        answering: Answering,
        judge: Judge,
        folder: Path,
        say: Callable[[str], None],
        every: int | None = None,
    ) -> None:
        self.questions = questions
        self.answering = answering
        self.judge = judge
        self.folder = folder
        self.say = say
        self.every = every
        self.log: Callable[[dict[str, float]], None] = lambda values: None
        self._base: Sequence[str] = ()
        self._last = 0  # step

    def begin(self, model: Any, is_first_process: bool) -> None:
        """`model` is the base yet. What it said at the beginning of a run that is gone on with is taken from there.

        Raises:
            SetupError: no question leaves room for an answer.
        """
        asked = len(self.questions)
        self.questions = self.answering.fitting(self.questions, model.config)
        if not self.questions:
            raise SetupError(
                f"judge: none of {asked} questions leaves room for an answer of {self.answering.max_tokens} tokens. "
                "Give others, or lower judge.max_tokens."
            )
        if len(self.questions) < asked:
            self.say(f"judged on {len(self.questions)} of {asked} questions; the others leave no room for an answer")
        self._base = self._kept() or self.answering.answers(model, self.questions)
        if is_first_process:
            rows = zip(self.questions, self._base, strict=True)
            self._write("base", [{**_row(question), "answer": answer} for question, answer in rows])

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.every is None:
            self._measure(state, control, more["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if self.every is not None and state.global_step % self.every == 0:
            self._measure(state, control, more["model"])

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._measure(state, control, more["model"])

    def _measure(self, state: Any, control: Any, model: Any) -> None:
        """All processes answer, since a model may be spread over them; the first one asks the judge."""
        if state.global_step == self._last:  # at the beginning it is the base itself
            return
        self._last = state.global_step
        answers = self.answering.answers(model, self.questions)
        with _same_chance():
            found = self._judged(answers, state.global_step) if state.is_world_process_zero else {}
        [shared] = _from_first([found])
        if shared:
            shall_log = control.should_log
            self.log(shared)
            control.should_log = shall_log  # the loss of this step is still to come

    def _judged(self, answers: Sequence[str], step: int) -> dict[str, float]:
        pairs = [Pair(*each) for each in zip(self.questions, answers, self._base, strict=True)]
        try:
            scores = self.judge(pairs, step)
        except FastChatError as error:  # for that nobody throws a training away
            self.say(f"at step {step} nothing was judged: {error.message}")
            return {}
        rows = [
            {"id": pair.question.id, "answer": pair.tuned, "base": pair.base, "score": score}
            for pair, score in zip(pairs, scores, strict=True)
        ]
        self._write(f"step-{step}", rows)
        found = win_rate(scores)
        if found is None:
            self.say(f"at step {step} the judge gave no verdict")
            return {}
        return {
            f"{PREFIX}_win_rate": found.rate,
            f"{PREFIX}_win_rate_low": found.low,
            f"{PREFIX}_win_rate_high": found.high,
            f"{PREFIX}_questions": found.judged,
            f"{PREFIX}_failed": found.failed,
        }

    def _kept(self) -> list[str] | None:
        file = self.folder / "base.jsonl"
        try:
            rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            answers = [str(row.pop("answer")) for row in rows]
        except (OSError, ValueError, KeyError):
            return None
        return answers if rows == [_row(question) for question in self.questions] else None

    def _write(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_output(self.folder / f"{name}.jsonl", lines.encode("utf-8", "replace"))


def judge_along(
    trainer: Any, plan: TrainingPlan, tokenizer: Any, chat_format: ChatFormat, judge: Judge, say: Callable[[str], None]
) -> None:
    """Before training: `trainer` has the base yet.

    Raises:
        SetupError: there is nothing to ask.
    """
    assert plan.judging is not None
    arguments, choice = plan.arguments, plan.judging
    questions = judged_questions(choice.files, choice.count, plan.data, say)
    half = torch.bfloat16 if arguments.bf16 else torch.float16 if arguments.fp16 else None
    answering = Answering(tokenizer, chat_format, choice.max_tokens, choice.batch, half)
    judged = Judged(questions, answering, judge, Path(arguments.output_dir) / "judge", say, choice.every)
    judged.begin(trainer.model, trainer.is_world_process_zero())
    judged.log = trainer.log
    trainer.add_callback(judged)


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """No layer trains; afterwards those that did train again, and no random number was drawn."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with _same_chance():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _same_chance() -> Iterator[None]:
    """Judges and samplers may draw; nobody else notices."""
    state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _row(question: Question) -> dict[str, Any]:
    return {"id": question.id, "messages": [dict(message) for message in question.messages]}


def _from_first(values: list[Any]) -> list[Any]:
    from accelerate.utils import broadcast_object_list

    shared: list[Any] = broadcast_object_list(values, from_process=0)
    return shared
