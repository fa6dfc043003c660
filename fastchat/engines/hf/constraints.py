"""The form an answer must have: which it is, and which tokens it allows next. The work is llguidance's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import llguidance
import llguidance.hf
import numpy
import torch
from llguidance.gbnf_to_lark import gbnf_to_lark

from fastchat.core.errors import InvalidRequest
from fastchat.engines import grammars
from fastchat.engines.base import ChatPrompt, GenerationRequest, GrammarConstraint, JsonConstraint
from fastchat.engines.hf.vocabulary import Vocabulary

_ENDED_WELL = frozenset({"NotStopped", "NoExtension", "NoExtensionBias", "EndOfSentence"})


@dataclass(frozen=True, slots=True)
class Form:
    grammar: str  # Lark, in llguidance's dialect
    param: str  # the field of the request that asked for it


def form_of(request: GenerationRequest) -> Form | None:
    """None: the answer may be anything.

    Raises:
        InvalidRequest: no such form can be enforced.
    """
    constraint = request.constraint
    if isinstance(request.prompt, ChatPrompt) and offered(request.prompt):
        if isinstance(constraint, GrammarConstraint):
            raise InvalidRequest("A grammar and tools cannot be combined.", param="tools")
        return _calls(request.prompt, None if constraint is None else _schema(constraint))
    if isinstance(constraint, JsonConstraint):
        return Form(grammars.json_answer(_schema(constraint)), "response_format")
    return None if constraint is None else Form(_from_gbnf(constraint.grammar), "grammar")


def offered(prompt: ChatPrompt) -> Sequence[Mapping[str, Any]]:
    """The tools the model may call."""
    return () if prompt.tool_choice == "none" else prompt.tools


def _calls(prompt: ChatPrompt, otherwise: Mapping[str, Any] | None) -> Form:
    tools = offered(prompt)
    if prompt.tool_choice == "auto":
        free = grammars.free_calls(tools, parallel=prompt.parallel_tool_calls, otherwise=otherwise)
        return Form(free, "tools")
    named = [tool for tool in tools if prompt.tool_choice in ("required", tool["function"]["name"])]
    if not named:
        raise InvalidRequest(f"tool_choice names {prompt.tool_choice!r}, which is no tool.", param="tool_choice")
    return Form(grammars.forced_call(named), "tools")


def _schema(constraint: JsonConstraint) -> Mapping[str, Any]:
    return grammars.ANY_OBJECT if constraint.schema is None else constraint.schema


def _from_gbnf(grammar: str) -> str:
    try:
        converted: str = gbnf_to_lark(grammar)
    except Exception as error:  # the converter raises just that for rules it does not find
        raise InvalidRequest(f"The grammar cannot be read: {error}", param="grammar") from None
    return converted


class FormReader:
    """Makes guides for answers; knows the vocabulary, which takes about a second to prepare."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, ends: frozenset[int]) -> None:
        self._vocabulary = vocabulary.size
        # Either may be the longer: the model's logits are often more than there are tokens, rarely fewer.
        known = max(vocabulary.size, len(tokenizer))
        try:
            self._tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=known, eos_token=sorted(ends))
        except ValueError:  # it does not know how this kind writes bytes; we do
            spelled = llguidance.TokenizerWrapper(_Spelled(tokenizer, vocabulary, ends))
            self._tokens = llguidance.LLTokenizer(spelled, n_vocab=known, eos_token=sorted(ends))

    def guide(self, form: Form) -> "Guide":
        """
        Raises:
            InvalidRequest: the grammar cannot be compiled.
        """
        matcher = llguidance.LLMatcher(self._tokens, llguidance.LLMatcher.grammar_from_lark(form.grammar), log_level=0)
        if matcher.is_error():
            raise InvalidRequest(_complaint(form, matcher.get_error()), param=form.param)
        return Guide(matcher, form, self._vocabulary)


class _Spelled:
    """What llguidance wants to know of a tokenizer, by its own names."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary, ends: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self.tokens = [vocabulary.name_of(token) for token in range(len(tokenizer))]
        self.special_token_ids = [token for token in range(len(tokenizer)) if not vocabulary.text_of(token)]
        self.eos_token_id = min(ends)
        self.bos_token_id = None
        self._by_bytes = {piece: token for token, piece in reversed(list(enumerate(self.tokens))) if piece}
        self._longest = max(map(len, self._by_bytes))

    def __call__(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        if b"".join(self.tokens[token] for token in tokens) == text.encode():
            return tokens
        return self._longest_pieces(text.encode())  # it puts a blank in front of what it is given

    def _longest_pieces(self, text: bytes) -> list[int]:
        tokens, start = [], 0
        while start < len(text):
            sizes = range(min(self._longest, len(text) - start), 0, -1)
            size = next((size for size in sizes if text[start : start + size] in self._by_bytes), None)
            if size is None:  # nothing spells this byte, so it cannot be said at all
                break
            tokens.append(self._by_bytes[text[start : start + size]])
            start += size
        return tokens


class Guide:
    """Leads one answer."""

    def __init__(self, matcher: Any, form: Form, vocabulary: int) -> None:
        self._matcher = matcher
        self._form = form
        self._vocabulary = vocabulary

    def allowed(self) -> torch.Tensor:
        """(vocabulary,): which tokens may come next."""
        bits = numpy.frombuffer(self._matcher.compute_bitmask(), numpy.uint8)
        self._check()
        return torch.from_numpy(numpy.unpackbits(bits, bitorder="little")[: self._vocabulary]).bool()

    def note(self, token: int) -> None:
        """
        Raises:
            InvalidRequest: the grammar turned out to be too intricate to be followed further.
        """
        self._matcher.consume_token(token)
        self._check()

    @property
    def is_complete(self) -> bool:
        """Nothing may follow."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error() or self._matcher.stop_reason() not in _ENDED_WELL:
            raise InvalidRequest(
                f"The form could not be enforced to the end of the answer: {_first_line(self._matcher.get_error())}",
                param=self._form.param,
            )


def _complaint(form: Form, error: str) -> str:
    if form.param == "grammar":
        return f"The grammar cannot be read: {_first_line(error)}"
    return f"The JSON schema cannot be enforced: {_first_line(error)}"


def _first_line(error: str) -> str:
    return error.strip().partition("\n")[0][:300] or "no reason is known"
