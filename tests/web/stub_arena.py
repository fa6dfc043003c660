"""An arena that says what a test wants and notes what it was asked; the real one is in the browser tests."""

from collections.abc import Sequence
from typing import Any

from fastchat.access.people import Visitor
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.records import FilePart, Outcome, Part
from fastchat.arena.service import Arena
from fastchat.arena.views import ConversationView, ModelView, SummaryView
from fastchat.core.errors import FastChatError

SOMEBODY = Visitor(voter_key="somebody", address_hash="somewhere")


class StubArena(Arena):
    administration: Any = None  # type: ignore[assignment]  # its routes are there, but nobody calls them

    def __init__(self) -> None:
        self.names: Sequence[str] = ("a", "b")
        self.view: ConversationView | None = None  # what every call about a conversation answers
        self.refusal: FastChatError | None = None
        self.calls: list[tuple[str, Any]] = []
        self.uploaded: list[tuple[bytes, str, str]] = []
        self.drawn: Sequence[Part] = ()  # of the arena's own questions
        self.summaries: list[SummaryView] = []

    @property
    def configs(self) -> dict[str, ArenaConfig]:
        return {DEFAULT: ArenaConfig()}

    def config(self, who: Visitor, arena: str) -> ArenaConfig:
        return self.configs[arena]

    def _answer(self, call: str, *given: Any) -> ConversationView:
        self.calls.append((call, given))
        if self.refusal:
            raise self.refusal
        assert self.view is not None
        return self.view

    def models(self, who: Visitor, arena: str) -> list[ModelView]:
        return [ModelView(name=name, can_see=False) for name in self.names]

    async def start(self, who: Visitor, arena: str, mode: Any, **options: Any) -> ConversationView:
        return self._answer("start", options["models"], options["system"])

    async def ask(self, who: Visitor, conversation_id: str, question: Sequence[Part], **_: Any) -> ConversationView:
        return self._answer("ask", question)

    async def random_question(self, who: Visitor, arena: str, *, category: str | None = None) -> Sequence[Part]:
        return self.drawn

    async def edit(self, who: Visitor, conversation_id: str, turn: int, question: Sequence[Part]) -> ConversationView:
        return self._answer("edit", turn, question)

    async def regenerate(self, who: Visitor, conversation_id: str) -> ConversationView:
        return self._answer("regenerate")

    async def stop(self, who: Visitor, conversation_id: str) -> ConversationView:
        return self._answer("stop")

    async def conversation(self, who: Visitor, conversation_id: str) -> ConversationView:
        self.calls.append(("conversation", conversation_id))
        assert self.view is not None
        return self.view

    async def vote(
        self, who: Visitor, conversation_id: str, token: str, outcome: Outcome, *, reasons: Sequence[str] = ()
    ) -> Any:
        return self._answer("vote", token, outcome, tuple(reasons)), None

    async def history(self, who: Visitor, arena: str, **options: Any) -> list[SummaryView]:
        self.calls.append(("history", options))
        return self.summaries

    async def rename(self, who: Visitor, conversation_id: str, title: str) -> None:
        self.calls.append(("rename", (conversation_id, title)))

    async def upload(self, who: Visitor, content: bytes, media_type: str, name: str) -> Part:
        self.uploaded.append((content, media_type, name))
        return FilePart(type="image", file_id="f", media_type=media_type, name=name)
