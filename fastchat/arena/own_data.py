"""What a voter may take along of their data while some of their battles are still blind."""

from collections.abc import Mapping
from typing import Any

from fastchat.arena.records import Mode

# Columns that tell who answered, or help to guess it.
_OF_CONVERSATIONS = ("models", "marks")
_OF_MESSAGES = ("model", "error", "first_token_s", "duration_s", "prompt_tokens", "completion_tokens")


def without_names(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of the store's tables; of battles without a vote without the columns above."""
    voted = {row["conversation_id"] for row in kept["vote_details"]}
    blind = {row["id"] for row in kept["conversations"] if row["mode"] == Mode.BATTLE and row["id"] not in voted}
    return {
        **kept,
        "conversations": [
            _without(row, _OF_CONVERSATIONS) if row["id"] in blind else row for row in kept["conversations"]
        ],
        "messages": [
            _without(row, _OF_MESSAGES) if row["conversation_id"] in blind else row for row in kept["messages"]
        ],
    }


def _without(row: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}
