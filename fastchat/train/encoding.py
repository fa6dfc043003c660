"""Conversations to token ids with a mask of what is trained, in batches.

    encoder = Encoder(tokenizer, find_format(path, tokenizer), max_length=2048)
    for sample in encoder.encode(conversations): sample.ids, sample.trained, sample.weight
    encoder.counts      what was cut, refused, or trains nothing: for `checks.check_counts`

The template is the whole truth about special tokens: the tokenizer adds none, so none is doubled.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.data.records import Conversation
from fastchat.train.chat_format import ChatFormat
from fastchat.train.masks import Rendered, Span, token_ranges

TooLong: TypeAlias = Literal["truncate", "split", "drop"]
Ids: TypeAlias = NDArray[np.integer[Any]]
Mask: TypeAlias = NDArray[np.bool_]

_BATCH_CHARACTERS = 1_000_000  # tokenised at once
_LAST_TOKENS = 3  # of an answer: some templates end a line behind the stop


class Sample(NamedTuple):
    """Of an encoder-decoder's pair, the question is what is not trained and the answer what is."""

    ids: Ids
    trained: Mask
    weight: float = 1.0


@dataclass(slots=True)
class Counts:
    conversations: int = 0
    refused: int = 0  # by the template
    first_refusal: str = ""
    samples: int = 0  # that train something
    nothing: int = 0  # samples that train nothing, left out
    first_nothing: str = ""  # id of the conversation
    too_long: int = 0  # samples longer than allowed: cut, split or dropped
    tokens: int = 0
    trained: int = 0
    answers: int = 0  # not cut off
    unstopped: int = 0  # of those, without a stop that is trained
    first_unstopped: str = ""  # how the first of them ends


class Encoder:
    """
    Raises:
        SetupError: the tokenizer does not tell which characters its tokens stand for.
    """

    def __init__(
        self,
        tokenizer: Any,  # Any: transformers has no types for us
        chat_format: ChatFormat,
        *,
        max_length: int,
        too_long: TooLong = "truncate",
        pairs: bool = False,  # for encoder-decoders: a sample an answer; max_length holds for each side
        last_answer_only: bool = False,
    ) -> None:
        self.chat_format = chat_format
        self.max_length = max_length
        self.too_long = too_long
        self.pairs = pairs
        self.last_answer_only = last_answer_only
        self.counts = Counts()
        self._backend = _own_backend(tokenizer)
        self.vocabulary_size = 1 + max(tokenizer.get_vocab().values())
        self._stop_strings = chat_format.stop_strings
        self._stop_ids = frozenset(tokenizer.convert_tokens_to_ids(list(chat_format.stop_tokens)))

    @property
    def digest(self) -> str:
        """Of all that decides what a conversation becomes: tokenizer, template, settings."""
        settings = (self.max_length, self.too_long, self.pairs, self.last_answer_only)
        known = json.dumps((self._backend.to_str(), self.chat_format.digest, settings))
        return hashlib.sha256(known.encode()).hexdigest()

    def encode(self, conversations: Iterable[Conversation]) -> Iterator[Sample]:
        """In order; samples that train nothing are counted and left out.

        Raises:
            SetupError: the template is wrong, or a text is none.
        """
        for batch in self._batches(conversations):
            encodings = self._backend.encode_batch([text.rendered.text for text in batch], add_special_tokens=False)
            for text, encoding in zip(batch, encodings, strict=True):
                yield from self._samples(text, encoding)

    def _samples(self, text: "_Text", encoding: Any) -> Iterator[Sample]:
        ids = np.asarray(encoding.ids, dtype=np.uint32)
        answers = token_ranges(encoding, text.rendered.answers)
        trained = np.zeros(len(ids), dtype=np.bool_)
        for first, end in answers:
            trained[first:end] = True
        pieces = self._pieces(len(ids), answers)
        self._count_stops(text.rendered, ids, answers, pieces)
        for piece in pieces:
            if trained[piece].any():
                self.counts.samples += 1
                self.counts.tokens += len(ids[piece])
                self.counts.trained += int(trained[piece].sum())
                yield Sample(ids[piece], trained[piece], text.weight)
            else:
                self.counts.nothing += 1
                self.counts.first_nothing = self.counts.first_nothing or text.id

    def _pieces(self, length: int, answers: Sequence[Span]) -> list[slice]:
        """Which tokens become a sample. A question of a pair loses its beginning, everything else its end."""
        limit = self.max_length
        if self.pairs:
            begin, end = max(0, answers[0].start - limit), min(length, answers[0].start + limit)
            self.counts.too_long += end - begin < length
            return [slice(begin, end)]
        if length <= limit:
            return [slice(0, length)]
        self.counts.too_long += 1
        if self.too_long == "split":
            return [slice(begin, min(begin + limit, length)) for begin in range(0, length, limit)]
        return [slice(0, limit)] if self.too_long == "truncate" else []

    def _count_stops(self, rendered: Rendered, ids: Ids, answers: Sequence[Span], pieces: Sequence[slice]) -> None:
        kept = max((piece.stop for piece in pieces), default=0)
        for tokens, characters in zip(answers, rendered.answers, strict=True):
            if tokens.end > kept or tokens.start == tokens.end:
                continue
            said = rendered.text[characters.start : characters.end]
            last = ids[max(tokens.start, tokens.end - _LAST_TOKENS) : tokens.end]
            self.counts.answers += 1
            if self._stop_ids.isdisjoint(last.tolist()) and not said.rstrip().endswith(self._stop_strings or "\0"):
                self.counts.unstopped += 1
                self.counts.first_unstopped = self.counts.first_unstopped or said[-20:]

    def _batches(self, conversations: Iterable[Conversation]) -> Iterator[list["_Text"]]:
        batch: list[_Text] = []
        characters = 0
        for conversation in conversations:
            for rendered in self._rendered(conversation):
                batch.append(_Text(conversation.id, conversation.weight, rendered))
                characters += len(rendered.text)
            if characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
        yield batch

    def _rendered(self, conversation: Conversation) -> list[Rendered]:
        """The texts of a conversation: one, or one an answer; none where the template refuses it."""
        self.counts.conversations += 1
        try:
            texts = self.chat_format.pairs(conversation) if self.pairs else [self.chat_format.render(conversation)]
        except InvalidRequest as error:
            self.counts.refused += 1
            self.counts.first_refusal = self.counts.first_refusal or f"{conversation.id!r}: {error.message}"
            return []
        for text in texts:
            _check_text(text.text, conversation)
        if self.last_answer_only:
            return [text._replace(answers=text.answers[-1:]) for text in texts[-1:]]
        return texts


class _Text(NamedTuple):
    id: str
    weight: float
    rendered: Rendered


def _own_backend(tokenizer: Any) -> Any:
    """The Rust tokenizer, as a copy that neither cuts nor pads."""
    if not getattr(tokenizer, "is_fast", False):
        raise SetupError(
            f"The tokenizer {type(tokenizer).__name__} does not tell which characters its tokens stand for, so what is "
            "trained cannot be told either. A fast one is needed: a model folder with a tokenizer.json."
        )
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def _check_text(text: str, conversation: Conversation) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SetupError(
            f"Conversation {conversation.id!r} holds half a character ({text[error.start]!r}), which is no text. Clean "
            "the data first: fastchat data clean."
        ) from None
