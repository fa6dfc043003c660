"""What the arena refuses, and what went wrong with an answer, in the reader's language.

The arena says it in English. Its fixed sentences stand in our catalogue word for word; of what holds a number or a name
the kind is translated. What there is no translation of stays English and is marked so.
"""

from fastchat.arena.failures import parted
from fastchat.core.errors import (
    AlreadyVoted,
    FastChatError,
    NotEnoughModels,
    NotNow,
    NoWorker,
    RateLimited,
    RequestTooLarge,
    StoreFailed,
)
from fastchat.web.markup import escaped
from fastchat.web.texts import ENGLISH, Texts


def refusal(error: FastChatError, texts: Texts) -> str:
    """As HTML."""
    if texts.language == ENGLISH:
        return escaped(error.message)
    said = texts.of_english(error.message) or _of_its_kind(error, texts)
    return escaped(said) if said else f'<span lang="{ENGLISH}">{escaped(error.message)}</span>'


def _of_its_kind(error: FastChatError, texts: Texts) -> str | None:
    match error:
        case AlreadyVoted():
            return texts("error_already_voted")
        case NotNow(retry_after_s=int(seconds)):
            return texts("error_too_early", seconds=seconds)
        case RateLimited(retry_after_s=int(seconds)):
            return texts("error_too_often", seconds=seconds)
        case RequestTooLarge():
            return texts("error_too_large")
        case NotEnoughModels():
            return texts("error_no_pair")
        case NoWorker():
            return texts("no_model_notice")
        case StoreFailed():
            return texts("error_lost")
    return None


def failure(words: str, texts: Texts) -> str:
    """An answer's failure, as HTML. What a model's server said, behind the sentence, is nobody's to translate."""
    kind, said = parted(words)
    if kind is None:
        return escaped(words)
    return texts.html(f"failure_{kind}") + (f' <span lang="{ENGLISH}">{escaped(said)}</span>' if said else "")
