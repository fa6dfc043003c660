"""Conversations nobody has asked anything in. They are not stored: an open page that is left alone leaves nothing."""

from collections import OrderedDict

from fastchat.arena.records import Conversation

MOST = 10_000
MOST_OF_AN_ADDRESS = 500


class Drafts:
    """The oldest are forgotten when there are too many; their pages then have to start anew.

    First those of the same address, so that nobody can have everybody else's forgotten.
    """

    def __init__(self, most: int = MOST, most_of_an_address: int = MOST_OF_AN_ADDRESS) -> None:
        self._most = most
        self._most_of_an_address = most_of_an_address
        self._drafts: OrderedDict[str, Conversation] = OrderedDict()
        self._addresses: dict[str, str] = {}  # of each draft
        self._of_addresses: dict[str, OrderedDict[str, None]] = {}  # the drafts of each, the oldest first

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._drafts

    def add(self, draft: Conversation, address_hash: str) -> None:
        theirs = self._of_addresses.setdefault(address_hash, OrderedDict())
        theirs[draft.conversation_id] = None
        self._addresses[draft.conversation_id] = address_hash
        self._drafts[draft.conversation_id] = draft
        if len(theirs) > self._most_of_an_address:
            self.remove(next(iter(theirs)))
        if len(self._drafts) > self._most:
            self.remove(next(iter(self._drafts)))

    def get(self, conversation_id: str) -> Conversation | None:
        return self._drafts.get(conversation_id)

    def change(self, draft: Conversation) -> None:
        """Another state of one that is here."""
        self._drafts[draft.conversation_id] = draft

    def remove(self, conversation_id: str) -> None:
        if self._drafts.pop(conversation_id, None) is None:
            return
        address_hash = self._addresses.pop(conversation_id)
        theirs = self._of_addresses[address_hash]
        del theirs[conversation_id]
        if not theirs:
            del self._of_addresses[address_hash]

    def remove_of(self, voter_id: str) -> None:
        for draft in [draft for draft in self._drafts.values() if draft.voter_id == voter_id]:
            self.remove(draft.conversation_id)
