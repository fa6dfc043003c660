"""Which questions a tuned model is judged by: those of files, or of the conversations that are held out; in either case
none that training data ask, too."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.data.distilling.exercises import read_exercises
from fastchat.data.records import Conversation, Message
from fastchat.data.texts import text_of
from fastchat.train.examples import conversations
from fastchat.train.plan import DataChoice
from fastchat.train.win_rate import Question


def judged_questions(
    files: Sequence[Path], count: int, data: DataChoice, say: Callable[[str], None]
) -> Sequence[Question]:
    """The first `count`; of a conversation the first question.

    Raises:
        SetupError: a file cannot be read, or nothing is left to ask.
    """
    found = {_text(question): question for question in (_of_files(files) if files else _held_out(data))}
    trained = {
        text
        for one in conversations(data, data.files, "kept" if data.held_out and not data.eval_files else "all")
        for message in one.messages
        if message["role"] == "user" and (text := _normal(text_of(message))) in found
    }
    if trained:
        say(f"of {len(found)} questions to be judged by, {len(trained)} are left out: training data ask them, too")
    left = list(islice((question for text, question in found.items() if text not in trained), count))
    if not left:
        raise SetupError(
            "judge: there is nothing to ask that is not trained on. Give a file as judge.questions, or keep "
            "conversations back (held_out: 0.02)."
        )
    return left


def _of_files(files: Sequence[Path]) -> Iterator[Question]:
    for file in files:
        for exercise in read_exercises(file):
            system: list[Message] = [{"role": "system", "content": exercise.system}] if exercise.system else []
            yield Question(exercise.id, [*system, {"role": "user", "content": exercise.turns[0]}])


def _held_out(data: DataChoice) -> Iterator[Question]:
    if data.eval_files:
        every = conversations(data, data.eval_files)
    else:
        every = conversations(data, data.files, "held out") if data.held_out else iter(())
    return (question for one in every if (question := _first(one)) is not None)


def _first(conversation: Conversation) -> Question | None:
    """Nobody's answer stands before it."""
    before = list(takewhile(lambda message: message["role"] == "system", conversation.messages))
    asked = next(iter(conversation.messages[len(before) :]), None)
    if asked is None or asked["role"] != "user" or not text_of(asked).strip():
        return None
    return Question(conversation.id, [*before, asked])


def _text(question: Question) -> str:
    return _normal(text_of(question.messages[-1]))


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
