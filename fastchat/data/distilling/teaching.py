"""One exercise: the teacher answers question after question; then, where that is wanted, a model asks on.

Only whole answers are learned from. One that was cut off at its longest length would teach a model to stop in the
middle: the conversation ends before it.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeAlias

from fastchat.core.errors import ContextLengthExceeded
from fastchat.data.distilling.exercises import Exercise
from fastchat.data.records import Conversation, Message

_WHOLE = ("stop", None)  # reasons for which an answer ended; some servers give none
_BYTES_PER_TOKEN = 4  # of English
_USUAL_TOKENS = {"answer": 350, "question": 50}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a teacher is asked. `system` stands in place of what conversations have.

    `rounds` are as many as there will be; without it, as many as there are questions. Those that lack are asked by
    `asker`.
    """

    teacher: str
    asker: str
    system: str | None = None
    temperature: float = 0.7
    max_tokens: int = 1024
    seed: int = 0
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    model: str
    messages: Sequence[Message]
    temperature: float
    max_tokens: int
    seed: int


class Said(NamedTuple):
    text: str
    finish_reason: str | None = None


class Untaught(NamedTuple):
    """Why there is nothing to learn from an exercise."""

    reason: str


class Foreseen(NamedTuple):
    """A call, about."""

    model: str
    prompt_tokens: int
    completion_tokens: int


Ask: TypeAlias = Callable[[Question], Awaitable[Said]]


async def teach(exercise: Exercise, ask: Ask, manner: Manner) -> Conversation | Untaught:
    """Where a later round cannot be had whole, what was said before it is kept.

    Raises:
        FastChatError: what `ask` raises, other than that a conversation has become too long.
    """
    seed = manner.seed + exercise.number  # so that the same question twice is answered twice
    system = exercise.system if manner.system is None else manner.system
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    begun = len(messages)
    ended = ""
    for number in range(_rounds(exercise, manner)):
        question = exercise.turns[number] if number < len(exercise.turns) else None
        if question is None:
            said = await ask(_asking_on(messages, manner, seed))
            if why := _unusable(said):
                ended = f"the next question {why}"
                break
            question = said.text.strip()
        asked = [*messages, {"role": "user", "content": question}]
        try:
            said = await ask(Question(manner.teacher, asked, manner.temperature, manner.max_tokens, seed))
        except ContextLengthExceeded as error:
            if len(messages) == begun:
                raise
            ended = error.message
            break
        if why := _unusable(said):
            ended = f"the answer {why}"
            break
        messages = [*asked, {"role": "assistant", "content": said.text}]
    if len(messages) == begun:
        return Untaught(ended)
    lineage = {**asdict(manner), "seed": seed, "exercise": exercise.id, "source": exercise.source}
    lineage |= {"ended": ended} if ended else {}
    extra = {"model": manner.teacher, "distilled": lineage}
    return Conversation(exercise.id, messages, exercise.source, extra=extra)


def foresee(exercise: Exercise, manner: Manner) -> Iterator[Foreseen]:
    """Nobody knows how long an answer is before it is written, so this is an estimate."""
    answer, question = (min(tokens, manner.max_tokens) for tokens in _USUAL_TOKENS.values())
    prompt = _about_tokens(exercise.system or "" if manner.system is None else manner.system)
    for number in range(_rounds(exercise, manner)):
        if number < len(exercise.turns):
            prompt += _about_tokens(exercise.turns[number])
        else:
            yield Foreseen(manner.asker, prompt + _about_tokens(_next_question()), question)
            prompt += question
        yield Foreseen(manner.teacher, prompt, answer)
        prompt += answer


def _rounds(exercise: Exercise, manner: Manner) -> int:
    return manner.rounds or len(exercise.turns)


def _unusable(said: Said) -> str:
    if said.finish_reason == "length":
        return "was cut off at its longest length"
    if said.finish_reason not in _WHOLE:
        return f"ended by {said.finish_reason}"
    return "" if said.text.strip() else "was empty"


def _asking_on(messages: Sequence[Message], manner: Manner, seed: int) -> Question:
    names: Mapping[str, str] = {"user": "Person", "assistant": "Assistant"}
    said = "\n\n".join(f"{names[one['role']]}: {one['content']}" for one in messages if one["role"] in names)
    prompt = _next_question().replace("{dialogue}", said)
    return Question(manner.asker, [{"role": "user", "content": prompt}], manner.temperature, manner.max_tokens, seed)


@cache
def _next_question() -> str:
    return (files(__package__) / "next_question.txt").read_text("utf-8").strip()


def _about_tokens(text: str) -> int:
    return len(text.encode()) // _BYTES_PER_TOKEN + 1
