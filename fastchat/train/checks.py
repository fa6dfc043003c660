"""Mistakes that cost a whole training run and are not seen in the loss; they stop it before it begins."""

from typing import Any

from fastchat.core.errors import SetupError
from fastchat.train.encoding import Counts

_MAX_SHARE = 0.01


class NoConversations(SetupError):
    """There is nothing to train on, or to measure the loss on."""


def check_counts(counts: Counts, *, max_share: float = _MAX_SHARE) -> None:
    """
    Raises:
        SetupError: nothing is left; too many conversations are refused or train nothing; answers do not end with a
            stop.
    """
    if not counts.conversations:
        raise NoConversations("There are no conversations to train on.")
    if counts.refused > max_share * counts.conversations:
        raise SetupError(
            f"The chat template refuses {counts.refused} of {counts.conversations} conversations. The first is "
            f"{counts.first_refusal} Clean the data (fastchat data clean), or give another template."
        )
    encoded = counts.samples + counts.nothing
    if not counts.samples or counts.nothing > max_share * encoded:
        which = f"; the first is of conversation {counts.first_nothing!r}" if counts.nothing else ""
        raise SetupError(
            f"{counts.nothing} of {encoded} samples train nothing{which}: they hold no answer, or none before they are "
            "cut. Look at them with fastchat train preview; split long conversations, allow longer samples, or clean "
            "the data."
        )
    if counts.unstopped > max_share * counts.answers:
        raise SetupError(
            f"{counts.unstopped} of {counts.answers} answers do not end with a token at which the model stops, so it "
            f"would never learn to stop; the first ends with {counts.first_unstopped!r}. In the template, put the "
            "model's last token behind the answer, inside {% generation %}…{% endgeneration %}."
        )


def pad_token_id(tokenizer: Any, vocabulary_size: int) -> int:
    """What to pad with: the tokenizer's pad token, else its unknown one as FastChat has it, else its last.

    Padding is left out by its place and never by its id, so that the stop token can serve and is trained all the same.

    Raises:
        SetupError: it is none of the model's `vocabulary_size` tokens, or there is none to take.
    """
    for name in ("pad_token", "unk_token", "eos_token"):
        number = getattr(tokenizer, f"{name}_id")
        if number is None:
            continue
        if not 0 <= number < vocabulary_size:
            raise SetupError(
                f"The {name} {getattr(tokenizer, name)!r} has the number {number}, but the model knows "
                f"{vocabulary_size} tokens. Resize its embeddings, or set pad_token in tokenizer_config.json to one "
                "that it has."
            )
        return int(number)
    raise SetupError("The tokenizer has no pad_token, unk_token or eos_token. Set one in tokenizer_config.json.")
