"""The arena itself, without a page: what can be done, by whom, under which rules. REST and the pages both call this."""

from collections.abc import AsyncIterator, Sequence

from fastchat.access.people import Visitor
from fastchat.arena.records import Consent, Mode, Outcome, Part, Sampling, Thumb
from fastchat.arena.transparency.receipts import Receipt
from fastchat.arena.views import ConversationView, Event, ModelView, SummaryView


class Arena:
    """One installation: all its named arenas, one store, one fleet of models."""

    def models(self, who: Visitor, arena: str) -> list[ModelView]:
        """Those that can be chosen by name, in the order of the fleet."""
        raise NotImplementedError

    async def start(
        self,
        who: Visitor,
        arena: str,
        mode: Mode,
        *,
        models: Sequence[str] = (),  # side by side: two; direct: one; battle: none
        system: str = "",
        sampling: Sampling | None = None,
        category: str | None = None,
    ) -> ConversationView:
        """An empty conversation. Nothing is stored, and nobody is drawn, before its first question."""
        raise NotImplementedError

    async def ask(
        self, who: Visitor, conversation_id: str, question: Sequence[Part], *, sampling: Sampling | None = None
    ) -> ConversationView:
        """Begin a turn. The answers are written in the background; `follow` shows them."""
        raise NotImplementedError

    def follow(self, who: Visitor, conversation_id: str) -> AsyncIterator[Event]:
        """The state, then what is added, until nothing is being written; any number may follow.

        When the last follower has been gone for a while, the writing stops.
        """
        raise NotImplementedError

    async def stop(self, who: Visitor, conversation_id: str) -> ConversationView:
        raise NotImplementedError

    async def regenerate(self, who: Visitor, conversation_id: str) -> ConversationView:
        """Both answers of the last turn anew, by the same models."""
        raise NotImplementedError

    async def edit(self, who: Visitor, conversation_id: str, turn: int, question: Sequence[Part]) -> ConversationView:
        """Go back to before that turn and ask this instead. Not after the vote; what was said stays stored."""
        raise NotImplementedError

    async def vote(
        self, who: Visitor, conversation_id: str, token: str, outcome: Outcome, *, reasons: Sequence[str] = ()
    ) -> tuple[ConversationView, Receipt]:
        """Acknowledged after it is on the disk. Reveals the names."""
        raise NotImplementedError

    async def rate(self, who: Visitor, message_id: str, thumb: Thumb | None, *, reasons: Sequence[str] = ()) -> None:
        raise NotImplementedError

    async def conversation(self, who: Visitor, conversation_id: str) -> ConversationView:
        raise NotImplementedError

    async def history(
        self, who: Visitor, arena: str, *, search: str = "", before: float | None = None, limit: int = 50
    ) -> list[SummaryView]:
        raise NotImplementedError

    async def rename(self, who: Visitor, conversation_id: str, title: str) -> None:
        raise NotImplementedError

    async def delete(self, who: Visitor, conversation_id: str) -> None:
        """Erase its texts; a vote on it stays in the log, without them."""
        raise NotImplementedError

    async def share(self, who: Visitor, conversation_id: str) -> str:
        """The path of a read-only page; a battle must have been voted on. Asking twice gives the same."""
        raise NotImplementedError

    async def unshare(self, who: Visitor, conversation_id: str) -> None:
        raise NotImplementedError

    async def shared(self, share_id: str) -> ConversationView:
        raise NotImplementedError

    async def upload(self, who: Visitor, content: bytes, media_type: str, name: str) -> Part:
        """Check and store a file. Images are drawn anew, so nothing but pixels stays; of a PDF the text is read."""
        raise NotImplementedError

    async def file(self, who: Visitor, file_id: str) -> tuple[bytes, str]:
        """Content and media type."""
        raise NotImplementedError

    async def random_question(self, who: Visitor, arena: str, *, category: str | None = None) -> Sequence[Part]:
        """One of the arena's own."""
        raise NotImplementedError

    async def consent(self, who: Visitor, arena: str) -> Consent | None:
        """What this visitor has agreed to; None: to nothing, or to an older version."""
        raise NotImplementedError

    async def give_consent(self, who: Visitor, arena: str, version: str, *, may_publish: bool) -> None:
        raise NotImplementedError

    async def export_my_data(self, who: Visitor) -> bytes:
        """JSON of all that is kept of this visitor."""
        raise NotImplementedError

    async def delete_my_data(self, who: Visitor) -> None:
        raise NotImplementedError
