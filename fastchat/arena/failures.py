"""What went wrong with an answer: one line for the operator, kept with it, and words for its reader.

The line begins with the kind of failure, or with moderation's notice. While a battle is blind its reader gets the
sentence for that kind and nothing of what the model's server said.
"""

from collections.abc import Mapping

from fastchat.arena.moderation.policy import NOTICES
from fastchat.arena.scrubbing import SENTENCES, failure_of
from fastchat.core.errors import FastChatError

_SENTENCES: Mapping[str, str] = dict([*SENTENCES.items(), *NOTICES.items()])


def line_of(error: FastChatError) -> str:
    return f"{failure_of(error)}: {error.message}"


def words_for(line: str, *, is_blind: bool) -> str:
    """For the reader of the page; empty if nothing went wrong."""
    if not line:
        return ""
    kind, _, said = line.partition(": ")
    sentence = _SENTENCES.get(kind)
    if sentence is None:  # an importer's line
        return SENTENCES["broke_off"] if is_blind else line
    return sentence if is_blind or not said else f"{sentence} ({said})"


def parted(words: str) -> tuple[str | None, str]:
    """The kind of failure that these words tell of, and what was added in brackets: for pages in other languages."""
    for kind, sentence in _SENTENCES.items():
        if words.startswith(sentence):
            return kind, words[len(sentence) :].strip()
    return None, words
