"""A chat with one model: what happens when a reader sends, stops, edits or starts over. The layout is in `page`."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple, TypeAlias

import gradio as gr
import openai

from fastchat.web.answering import Question, write
from fastchat.web.curl import curl, origin_of, shell_block
from fastchat.web.models import NO_MODEL, ModelList, choices
from fastchat.web.rendering import log_of, turn_of_row
from fastchat.web.session import Answer, Conversation, Ending
from fastchat.web.settings import KEYLESS, Pace, Parameters

Update: TypeAlias = Any  # a component's next value or properties; Gradio is untyped

SAME: Update = gr.skip()


class View(NamedTuple):
    """What changes on the page, in the order of the outputs that `page` wires up."""

    log: Update = SAME
    question: Update = SAME
    send: Update = SAME
    stop: Update = SAME


class Picker(NamedTuple):
    model: Update = SAME
    notice: Update = SAME
    shown: Update = SAME


class Chat:
    """The handlers. A conversation comes out of Gradio's session state, so changing it in place is enough.

    Whatever asks a question only writes it down; `answer` follows it on the page and does the rest.
    """

    def __init__(self, client: openai.AsyncOpenAI, models: ModelList, pace: Pace, *, api_url: str | None) -> None:
        self._completions = client.chat.completions
        self._models = models
        self._pace = pace
        self._api_url = api_url  # what readers are shown; None: the page's own origin
        self._needs_key = client.api_key != KEYLESS
        self._in_flight: dict[str, Answer] = {}  # by Gradio's session

    async def ask(self, text: str, conversation: Conversation, model: str | None) -> View:
        if not text.strip():
            return View()
        answer = Answer(model or await self._first_model())
        if not answer.model:
            answer.end(Ending.FAILED, failure=NO_MODEL)
        conversation.ask(text.strip(), answer)
        return _whole(conversation)._replace(question="")

    async def _first_model(self) -> str:
        """For who asks before the picker has been filled."""
        names = (await self._models.current()).names
        return names[0] if names else ""

    async def ask_example(self, picked: gr.SelectData, conversation: Conversation, model: str | None) -> View:
        return await self.ask(picked.value["text"], conversation, model)

    async def ask_again(self, conversation: Conversation, model: str | None) -> View:
        view = await self.ask(conversation.take_back(), conversation, model)
        return view._replace(question=SAME)

    async def ask_differently(self, edited: gr.EditData, conversation: Conversation, model: str | None) -> View:
        turn = turn_of_row(conversation, edited.index)
        if turn is None or not edited.value.strip():
            return _whole(conversation)
        conversation.cut_back(turn)
        view = await self.ask(edited.value, conversation, model)
        return view._replace(question=SAME)

    async def answer(self, request: gr.Request, conversation: Conversation, *settings: Any) -> AsyncIterator[View]:
        """Write the open answer. `settings` are the values of the accordion, in the order of `Parameters`."""
        answer = conversation.current
        if answer is None or answer.has_begun:
            return  # two questions came so fast that this is the second call for the same answer
        if not answer.is_being_written:
            yield _whole(conversation)
            return
        question = _question(conversation, answer.model, settings)
        self._in_flight[request.session_hash] = answer
        try:
            async with aclosing(write(self._completions, question, answer, self._pace)) as flushes:
                async for has_news in flushes:
                    if conversation.current is not answer:
                        return  # the reader has moved on, and the page belongs to what came after
                    yield View(log=log_of(conversation)) if has_news else View()
        finally:
            if self._in_flight.get(request.session_hash) is answer:
                del self._in_flight[request.session_hash]
        yield _whole(conversation)

    async def leave(self, request: gr.Request) -> None:
        """The tab is gone. Gradio closes a handler whose stream breaks, but not one whose stream never came to be."""
        if answer := self._in_flight.get(request.session_hash):
            answer.stop()

    async def stop(self, conversation: Conversation) -> None:
        conversation.stop()

    async def undo(self, conversation: Conversation) -> View:
        """Take the last question back into the box."""
        question = conversation.take_back()
        return _whole(conversation)._replace(question=question)

    async def start_over(self, conversation: Conversation) -> View:
        conversation.cut_back(0)
        return _whole(conversation)

    async def command(self, request: gr.Request, conversation: Conversation, model: str | None, *settings: Any) -> str:
        """The last request as a block of shell for a Markdown component."""
        question = _question(conversation, model or "MODEL", settings)
        return shell_block(curl(question, self._api_url or origin_of(request.headers), needs_key=self._needs_key))

    async def refresh(self, conversation: Conversation, model: str | None, shown: object) -> Picker:
        """Bring the picker up to date; nothing is sent to a page that shows the right thing already."""
        models = await self._models.current()
        offered, chosen = choices(models, model, keep=bool(conversation.turns))
        if (offered, models.problem) == shown and chosen == model:
            return Picker()
        # What is right stays unsaid: the reader may have chosen another model since this was asked.
        value = {} if chosen == model else {"value": chosen}
        return Picker(
            gr.update(choices=offered, interactive=bool(models.names), **value),
            gr.update(value=models.problem, visible=bool(models.problem)),
            (offered, models.problem),
        )


def _question(conversation: Conversation, model: str, settings: tuple[Any, ...]) -> Question:
    parameters = Parameters(*settings)
    return Question(model, conversation.messages(parameters.system), parameters)


def _whole(conversation: Conversation) -> View:
    is_busy = conversation.is_being_answered
    return View(log_of(conversation), SAME, gr.update(visible=not is_busy), gr.update(visible=is_busy))
