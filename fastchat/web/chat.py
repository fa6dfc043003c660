"""What happens when a reader sends, stops, votes, starts over. How it looks is `layout`, what may be is the arena's."""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gradio as gr

from fastchat.access.people import Visitor
from fastchat.arena.config import DEFAULT
from fastchat.arena.records import FilePart, Mode, Outcome, Part, Sampling, Side, TextPart, Thumb
from fastchat.arena.service import Arena
from fastchat.arena.standings import LEFT_OUT
from fastchat.arena.views import ConversationView
from fastchat.core.errors import FastChatError, NoWorker
from fastchat.web.composer import EMPTY, Draft, forget_files, is_blank, parts_of
from fastchat.web.curl import commands, origin_of, shell_block
from fastchat.web.following import follow
from fastchat.web.layout import REASONS, Widgets, head_of
from fastchat.web.markup import escaped
from fastchat.web.models import choices
from fastchat.web.refusals import refusal
from fastchat.web.rendering import answer_of_row, last_of, log_of, thumbs_of, turn_of_question
from fastchat.web.session import Session
from fastchat.web.settings import Pace, Parameters
from fastchat.web.texts import ENGLISH, Texts, Wording

log = logging.getLogger(__name__)

Changes: TypeAlias = dict[Any, Any]  # component → its new value or properties; Gradio is untyped
Handler: TypeAlias = Callable[..., Coroutine[Any, Any, Changes]]


@dataclass(frozen=True, slots=True)
class Backend:
    """What every view of the page shares."""

    arena: Arena
    identify: Callable[[gr.Request], Visitor]
    pace: Pace
    running: Callable[[], Sequence[str]]  # names of all models that answer, listed or not
    name: str = DEFAULT  # of the arena that is shown
    api_url: str | None = None  # what readers are shown; None: the page's own origin
    needs_key: bool = False
    wording: Wording = field(default_factory=Wording)


class Chat:
    """The handlers of one view. A session comes out of Gradio's state, so changing it in place is enough.

    Whatever asks a question only tells the arena; `write` follows it on the page.
    """

    def __init__(self, mode: Mode, on: Widgets, backend: Backend, *, system: str = "") -> None:
        """`system`: the arena's own message, which stands before a reader's."""
        self._mode = mode
        self._on = on
        self._backend = backend
        self._arena = backend.arena
        self._texts = backend.wording.of
        self._system = system

    async def ask(self, request: gr.Request, session: Session, draft: Draft, *inputs: Any) -> Changes:
        """`inputs` are the models that were picked and the values of the parameters."""
        if is_blank(draft):
            return {}
        who = self._backend.identify(request)
        changes = await self._asked(request, who, session, await parts_of(self._arena, who, draft), inputs)
        forget_files(draft)
        return changes | {self._on.composer: EMPTY}

    async def ask_example(self, request: gr.Request, picked: gr.EventData, session: Session, *inputs: Any) -> Changes:
        """An example, or one of the arena's own questions."""
        who = self._backend.identify(request)
        if picked._data.get("draws"):
            parts = await self._arena.random_question(who, self._backend.name)
            pictures_first = sorted(parts, key=lambda part: not isinstance(part, FilePart))
            return await self._asked(request, who, session, pictures_first, inputs)
        question = str(picked._data.get("question", ""))  # from our own page, or from whoever plays it
        if not question.strip():
            return {}
        return await self._asked(request, who, session, [TextPart(text=question)], inputs)

    async def _asked(
        self,
        request: gr.Request,
        who: Visitor,
        session: Session,
        question: Sequence[Part],
        inputs: Sequence[Any],
    ) -> Changes:
        picked, parameters = self._read(inputs)
        sampling = Sampling(parameters.temperature, parameters.top_p, parameters.max_tokens)
        seen = session.seen
        if seen is None:
            seen = await self._arena.start(
                who,
                self._backend.name,
                self._mode,
                models=await self._models(who, picked),
                system=parameters.system,
                sampling=sampling,
            )
        elif seen.is_being_answered:
            await self._arena.stop(who, seen.conversation_id)
        session.seen = await self._arena.ask(who, seen.conversation_id, question, sampling=sampling)
        return self._asking(session.seen, self._texts(request))

    async def _models(self, who: Visitor, picked: Sequence[str | None]) -> list[str]:
        """For who asks before the pickers have been filled."""
        offered = [model.name for model in self._arena.models(who, self._backend.name)]
        if picked and not offered:
            raise NoWorker(self._backend.wording.catalogue.of(ENGLISH)("no_model_notice"))
        return [name or offered[min(at, len(offered) - 1)] for at, name in enumerate(picked)]

    def _read(self, inputs: Sequence[Any]) -> tuple[Sequence[str | None], Parameters]:
        count = len(self._on.pickers)
        return inputs[:count], Parameters(*inputs[count:])

    async def ask_again(self, request: gr.Request, session: Session) -> Changes:
        who = self._backend.identify(request)
        if session.seen is None:
            return {}
        if session.seen.is_being_answered:
            await self._arena.stop(who, session.seen.conversation_id)
        session.seen = await self._arena.regenerate(who, session.seen.conversation_id)
        return self._asking(session.seen, self._texts(request))

    def ask_differently(self, side: Side) -> Handler:
        async def ask_differently(request: gr.Request, edited: gr.EditData, session: Session) -> Changes:
            seen, texts = session.seen, self._texts(request)
            turn = turn_of_question(seen, side, edited.index, texts)
            if seen is None or turn is None or not str(edited.value).strip():
                return self._all(seen, texts)
            files = [part for part in seen.turns[turn].question if isinstance(part, FilePart)]
            question: list[Part] = [*files, TextPart(text=str(edited.value).strip())]
            who = self._backend.identify(request)
            if seen.is_being_answered:
                await self._arena.stop(who, seen.conversation_id)
            session.seen = await self._arena.edit(who, seen.conversation_id, turn, question)
            return self._asking(session.seen, texts)

        return ask_differently

    async def write(self, request: gr.Request, session: Session) -> AsyncIterator[Any]:
        """The logs of all panes, as often as there is more in one of them. Any: Gradio wants one value, or a tuple."""
        seen = session.seen
        if seen is None or not seen.is_being_answered:
            return
        who, turn = self._backend.identify(request), seen.turns[-1].message_id
        texts = self._texts(request)
        events = self._arena.follow(who, seen.conversation_id)
        before = seen.model_copy(update={"turns": seen.turns[:-1]})
        above = [log_of(before, pane.side, texts) for pane in self._on.panes]
        async with aclosing(follow(events, self._backend.pace)) as views:
            async for view in views:
                if session.seen is None or session.seen.turns[-1].message_id != turn:
                    return  # the reader has moved on, and the page belongs to what came after
                session.seen = seen = view or seen
                logs = [
                    rows + last_of(seen, pane.side, texts) for rows, pane in zip(above, self._on.panes, strict=True)
                ]
                yield logs if len(logs) > 1 else logs[0]

    async def settle(self, request: gr.Request, session: Session) -> Changes:
        """After an answer has ended, or could no longer be followed."""
        seen = session.seen
        if seen is not None and seen.is_being_answered:
            known = await self._arena.conversation(self._backend.identify(request), seen.conversation_id)
            if session.seen is seen:  # else the next question was asked meanwhile, and its answer is further
                session.seen = known
        return self._all(session.seen, self._texts(request))

    async def stop(self, request: gr.Request, session: Session) -> None:
        if session.seen is not None:
            await self._arena.stop(self._backend.identify(request), session.seen.conversation_id)

    def vote(self, outcome: Outcome) -> Handler:
        async def vote(request: gr.Request, session: Session, reasons: list[str]) -> Changes:
            seen, texts = session.seen, self._texts(request)
            if seen is None or seen.vote_token is None:
                return {}
            said = [reason for reason in reasons if reason in REASONS]
            who = self._backend.identify(request)
            try:
                voted = await self._arena.vote(who, seen.conversation_id, seen.vote_token, outcome, reasons=said)
            except FastChatError as error:
                session.seen = await self._arena.conversation(who, seen.conversation_id)
                return self._all(session.seen, texts) | {self._on.told: _bad(refusal(error, texts))}
            session.seen = voted[0]
            return self._all(session.seen, texts) | {self._on.told: _thanks(session.seen, outcome, texts)}

        return vote

    async def rate(self, request: gr.Request, liked: gr.LikeData, session: Session) -> Changes:
        answer = answer_of_row(session.seen, Side.LEFT, liked.index, self._texts(request))
        if answer is None or session.seen is None:
            return {}
        thumb = {True: Thumb.UP, False: Thumb.DOWN, "Like": Thumb.UP, "Dislike": Thumb.DOWN}.get(liked.liked)
        who = self._backend.identify(request)
        await self._arena.rate(who, answer.message_id, thumb)
        session.seen = await self._arena.conversation(who, session.seen.conversation_id)
        return {}

    async def share(self, request: gr.Request, session: Session) -> Changes:
        texts = self._texts(request)
        if session.seen is None:
            return {self._on.told: _bad(texts.html("nothing_to_share"))}
        path = await self._arena.share(self._backend.identify(request), session.seen.conversation_id)
        link = escaped(path.lstrip("/"))
        text = f'{texts.html("shared")} <a class="fc-shared" href="{link}" target="_blank" rel="noopener">{link}</a>'
        return {self._on.told: text}

    async def start_over(self, request: gr.Request, session: Session) -> Changes:
        if session.is_being_answered:
            await self.stop(request, session)
        session.seen = None
        return self._anew(None, self._texts(request))

    async def open(self, request: gr.Request, session: Session, conversation_id: str) -> Changes:
        """Show a conversation of this reader's; none, if the address names none."""
        session.seen = None
        if conversation_id:
            session.seen = await self._arena.conversation(self._backend.identify(request), conversation_id)
        return self._anew(session.seen, self._texts(request))

    async def refresh(self, request: gr.Request, session: Session, *picked: str | None) -> Changes:
        """Bring the pickers and the notice up to date."""
        offered = [model.name for model in self._arena.models(self._backend.identify(request), self._backend.name)]
        texts = self._texts(request)
        problem = self._problem(len(self._backend.running() if self._mode is Mode.BATTLE else offered))
        changes: Changes = {self._on.notice: f"<span>{texts.html(problem)}</span>" if problem else ""}
        seen = session.seen
        named = seen.models if seen is not None else (_in_address(request, offered),)
        for at, picker in enumerate(self._on.pickers):
            known = named[at] if at < len(named) else None
            chosen = (known or picked[at]) if seen is not None else (picked[at] or known)
            shown, value = choices(offered, chosen, texts, keep=seen is not None, first=at)
            changes[picker] = gr.update(choices=shown, value=value, interactive=bool(offered))
        return changes

    def _problem(self, models: int) -> str | None:
        if not models:
            return "no_model_notice"
        return "one_model_notice" if models == 1 and self._mode is Mode.BATTLE else None

    async def command(self, request: gr.Request, session: Session, *inputs: Any) -> str:
        """The last requests as blocks of shell for a Markdown component."""
        seen = session.seen
        picked, parameters = self._read(inputs)
        if self._mode is Mode.BATTLE and (seen is None or seen.is_blind):
            return self._texts(request)("curl_after_vote")
        api_url = self._backend.api_url or origin_of(request.headers)
        model = (picked[0] if picked else None) or "MODEL"
        told = commands(seen, model, parameters, api_url, self._system, needs_key=self._backend.needs_key)
        return "\n\n".join(map(shell_block, told))

    def _anew(self, view: ConversationView | None, texts: Texts) -> Changes:
        """The same, where what was said of the reader's last act no longer matters."""
        return self._all(view, texts) | {self._on.told: ""}

    def _asking(self, view: ConversationView, texts: Texts) -> Changes:
        """The same after a question, of which a battle's voter is told that it no longer counts."""
        changes = self._anew(view, texts)
        if view.mode is Mode.BATTLE and view.vote is not None:
            changes[self._on.told] = f"<span>{texts.html('after_vote')}</span>"
        return changes

    def _all(self, view: ConversationView | None, texts: Texts) -> Changes:
        """The whole view, as it has to look for this conversation."""
        changes: Changes = {
            self._on.place: view.conversation_id if view and view.turns else "",
        }
        for pane in self._on.panes:
            changes[pane.log] = log_of(view, pane.side, texts)
            if self._mode is Mode.DIRECT and any(thumbs := thumbs_of(view, pane.side, texts)):
                changes[pane.log] = gr.update(value=changes[pane.log], feedback_value=thumbs)
            changes[pane.head] = self._head(view, pane.side, texts)
        if self._on.ballot is not None:
            can_vote = view is not None and view.can_vote
            changes[self._on.ballot] = gr.update(visible=can_vote)
            if not can_vote:
                changes[self._on.reasons] = []
        return changes

    def _head(self, view: ConversationView | None, side: Side, texts: Texts) -> str:
        at = 0 if side is Side.LEFT else 1
        model = view.models[at] if view and at < len(view.models) else None
        winner = (
            {Outcome.LEFT: Side.LEFT, Outcome.RIGHT: Side.RIGHT}.get(view.vote.outcome) if view and view.vote else None
        )
        is_busy = view is not None and view.is_being_answered
        return head_of(self._mode, side, texts, model=model, is_winner=winner is side, is_busy=is_busy)


def _thanks(view: ConversationView, outcome: Outcome, texts: Texts) -> str:
    """What is said after a vote. That it counts is only said where the leaderboard counts it."""
    counts = view.mode is Mode.BATTLE and LEFT_OUT.isdisjoint(view.marks)
    said = f"<strong>{texts.html(f'voted_{outcome}')}</strong> {texts.html('counted' if counts else 'logged')}"
    return f"{said} {_receipt_link(view.vote.vote_id, texts)}" if view.vote is not None else said


def _receipt_link(vote_id: str, texts: Texts) -> str:
    """Relative, like the link to a shared page: an arena's own page and a proxy's path have the API below them."""
    vote = escaped(vote_id)
    address, file = f"api/arena/log/receipt/{vote}", f"receipt-{vote}.json"
    return f'<a class="fc-receipt" href="{address}" download="{file}">{texts.html("receipt")}</a>'


def _bad(said: str) -> str:
    return f'<span class="fc-bad">{said}</span>'


def in_words(changes_on: Any, error: Exception, texts: Texts) -> Changes:
    """What a handler shows instead, when the arena has refused."""
    if isinstance(error, FastChatError):
        return {changes_on: _bad(refusal(error, texts))}
    log.error("a page's handler failed", exc_info=error)
    return {changes_on: _bad(texts.html("error_lost"))}


def _in_address(request: gr.Request, offered: Sequence[str]) -> str | None:
    """FastChat's links to one model: `?model=NAME`. Gradio hands the page's own parameters on with every event."""
    name = request.query_params.get("model") if request.query_params else None
    return name if name in offered else None
