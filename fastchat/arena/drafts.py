"""Conversations nobody has asked anything in. They are not stored: an open page that is left alone leaves nothing."""

from collections import OrderedDict

from fastchat.arena.records import Conversation

MOST = 10_000


class Drafts:
    """The oldest are forgotten when there are too many; their pages then have to start anew."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._drafts: OrderedDict[str, Conversation] = OrderedDict()

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._drafts

    def add(self, conversation: Conversation) -> None:
        self._drafts[conversation.conversation_id] = conversation
        while len(self._drafts) > self._most:
            self._drafts.popitem(last=False)

    def get(self, conversation_id: str) -> Conversation | None:
        return self._drafts.get(conversation_id)

    def remove(self, conversation_id: str) -> None:
        self._drafts.pop(conversation_id, None)

    def remove_of(self, voter_id: str) -> None:
        for draft in [draft for draft in self._drafts.values() if draft.voter_id == voter_id]:
            self.remove(draft.conversation_id)
