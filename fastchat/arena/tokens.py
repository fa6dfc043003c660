"""The one-time token of a vote: shows that this voter was shown these answers, and is worth nothing for anything else.

It is computed, so there is nothing to store and a restart changes nothing; new answers have new ids and so another
token. That it is good for one vote only is the store's doing, where a battle has at most one.
"""

import hmac
import json

from fastchat.access.secret import signature
from fastchat.arena.records import Conversation
from fastchat.core.errors import PermissionDenied

_PURPOSE = "arena vote"


def vote_token(key: bytes, conversation: Conversation) -> str:
    """Of a battle's voter, for the answers of its last turn."""
    assert conversation.battle is not None
    judged = [answer.message_id for answer in conversation.turns[-1].answers]
    return signature(key, _PURPOSE, json.dumps([conversation.voter_id, conversation.battle.battle_id, judged]))


def check_token(key: bytes, conversation: Conversation, token: str) -> None:
    """
    Raises:
        PermissionDenied: the token is not that of these answers.
    """
    if not hmac.compare_digest(vote_token(key, conversation).encode(), token.encode("utf-8", "replace")):
        raise PermissionDenied(
            "This vote token is not for the answers that stand here: they are newer, or it is forged. "
            "Load the conversation again and vote with its token.",
            param="token",
        )
