"""What a blind battle may say when something goes wrong.

An error tells a lot: a provider's way of putting it, a context's length, a wait. So a browser gets one of a few
sentences of ours, which depend on the kind of error alone (`blind_sentence`). `scrub` is for texts that have to go
through, and rather takes too much than too little: no name of a served model is left, however it is spelled.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from fastchat.arena.folding import fold
from fastchat.arena.model_names import alternatives, families, parts, spellings
from fastchat.core.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    FastChatError,
    NoWorker,
    QueueFull,
    RequestError,
    RequestTooLarge,
    UnknownModel,
    WorkerTimeout,
)

Failure: TypeAlias = Literal["busy", "too_long", "refused", "broke_off"]

REMOVED = "⋯"  # which no normalisation takes apart
# In English; pages translate by the failure's name.
SENTENCES: Mapping[Failure, str] = {
    "busy": "This model is busy at the moment. Try again soon.",
    "too_long": "This conversation is too long for this model. Start a new one, or send less.",
    "refused": "This model does not accept this request. Put it differently, or start over.",
    "broke_off": "This model failed while it was answering. Try again, or start over.",
}

_LONGEST_TEXT = 2000  # messages are shorter
_LEAST_FOR_SUBSTRING = 3  # letters and digits; shorter names are looked for as whole words
_WORD = re.compile(r"[\w.\-/:@+]*")  # what hangs on a name: "models/gpt-4o-2024-08-06:free"
_TELLTALES = re.compile(
    "|".join(
        (
            r"[a-z][a-z0-9+.\-]*://\S+",  # addresses
            r"[\w.+\-]+@[\w\-]+\.[\w.\-]+",
            r"\b(?:[a-z0-9](?:[a-z0-9\-_]*[a-z0-9])?\.)+[a-z][a-z0-9\-]*[a-z0-9](?::\d+)?(?:/\S*)?",  # hosts, modules
            r"\blocalhost(?::\d+)?(?:/\S*)?",
            r"\[?(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}\]?(?::\d+)?",
            r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?",
            r"(?:\b[a-z]:)?[\\/]{1,2}[\w.\-]+(?:[\\/]+[\w.\-]*)*",  # paths, routes
            r"\bbearer\s+\S+",  # keys
            r"\b(?:sk|pk|hf|gsk|xai|key|api)[-_]\S+",
            r"\b(?:[a-z]{1,8}[-_])+[\w\-]*\d[\w\-]*",  # sk-…, req_…, org-…, chatcmpl-…
            r"\b[\w\-]{24,}",
            r"\b(?=\w*\d)(?=\w*[a-z])\w{10,}",
            r"\b\w*(?:error|exception|failure|fault|timeout)\b(?<=\w{8})",  # classes and codes of errors
            r"\b[a-z0-9]+(?:_[a-z0-9]+)+",
            r"\d[\d.,]*\d{2,}|\d{3,}",  # lengths, statuses, project numbers
        )
    ),
    re.IGNORECASE,
)


def failure_of(error: FastChatError) -> Failure:
    match error:
        case ContextLengthExceeded() | RequestTooLarge():
            return "too_long"
        case QueueFull() | NoWorker() | WorkerTimeout():
            return "busy"
        case UnknownModel() | AuthenticationFailed():  # nothing the reader could mend by asking differently
            return "broke_off"
        case RequestError():
            return "refused"
    return "broke_off"


def blind_sentence(error: FastChatError) -> str:
    """All that a blind battle says of an error, whatever the error says itself."""
    return SENTENCES[failure_of(error)]


def scrub(text: str, models: Sequence[str]) -> str:
    """The text without anything that tells who answers; empty where that cannot be made sure.

    `models` should hold the names served here, what their endpoints call them, and the names of endpoints.
    """
    served = _served_names(tuple(sorted({*models, *(model.rpartition("/")[2] for model in models)})))
    text = _legible(text[:_LONGEST_TEXT])
    while True:  # what is left on both sides of a gap may be a name again
        clean = _without_names(_without_names(_TELLTALES.sub(REMOVED, text), served), _known_names())
        if clean == text:
            break
        text = clean
    # Letters that are equal only when folded ("ß" and "ss") are not worth a search in two spellings.
    if served.search(fold(text)):
        return ""
    return re.sub(rf"{REMOVED}(?:[\s'\"`,:;()\[\]{{}}\-]*{REMOVED})+", REMOVED, text).strip()


def _without_names(text: str, names: re.Pattern[str]) -> str:
    """Together with the whole word that a name is part of."""
    kept: list[str] = []
    at = 0
    for found in names.finditer(text):
        if found.start() >= at:  # else it was part of the word before
            kept.append(text[at : found.start() - len(_ending_word(text[at : found.start()]))])
            at = _end_of_word(text, found.end())
    return REMOVED.join([*kept, text[at:]])


def _ending_word(text: str) -> str:
    reversed_word = _WORD.match(text[::-1])
    return reversed_word[0] if reversed_word else ""


def _end_of_word(text: str, at: int) -> int:
    word = _WORD.match(text, at)
    return word.end() if word else at


def _legible(text: str) -> str:
    """One width, and no characters that cannot be seen: names are hidden behind them, and no message needs them."""
    blanks = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFKC", text))
    return " ".join("".join(char for char in blanks if unicodedata.category(char) not in ("Cf", "Cc")).split())


@cache
def _known_names() -> re.Pattern[str]:
    names = (name for family in families() for name in family.names + family.makers)
    return re.compile(alternatives(names), re.IGNORECASE)


@lru_cache(maxsize=32)  # the served models change seldom
def _served_names(models: tuple[str, ...]) -> re.Pattern[str]:
    short = {model for model in models if _size(model) < _LEAST_FOR_SUBSTRING}
    anywhere = sorted(set(models) - short, key=len, reverse=True)
    words = alternatives({*short, *(part for model in models for part in parts(model))})
    options = [*map(spellings, anywhere), words]
    return re.compile("|".join(options), re.IGNORECASE)


def _size(name: str) -> int:
    return sum(char.isalnum() for char in fold(name))
