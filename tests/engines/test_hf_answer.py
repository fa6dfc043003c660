"""Tokens as bytes, whatever the kind of tokenizer, and answers made of them."""

from collections.abc import Sequence
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import Delta, GenerationRequest, Sampling, TextPrompt
from fastchat.engines.hf.answer import Answer, Bounds, logprob_entry
from fastchat.engines.hf.vocabulary import Vocabulary
from fastchat.engines.thoughts import ThoughtReader
from tests.engines import tiny_models

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
LETTERS = [*"▁abcdehlnorstuw", "▁the", "▁w"]


def sentence_piece(scheme: str) -> transformers.PreTrainedTokenizerFast:
    """As Llama 2's: blanks are ▁, one is put before the text, and what is no known letter is spelled in bytes."""
    words = ["<unk>", "<s>", "</s>", *BYTES, *LETTERS]
    model = models.BPE(
        vocab={word: number for number, word in enumerate(words)}, merges=[], unk_token="<unk>", byte_fallback=True
    )
    made = Tokenizer(model)
    blank = decoders.Replace("▁", " ")
    if scheme == "normalizer":
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence(
            [blank, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
        )
    elif scheme == "metaspace":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        made.decoder = decoders.Sequence(
            [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always", split=False)]
        )
    else:  # as Gemma's: nothing is put before the text
        made.normalizer = normalizers.Replace(" ", "▁")
        made.decoder = decoders.Sequence([blank, decoders.ByteFallback(), decoders.Fuse()])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def vocabulary(kind: str) -> Vocabulary:
    tokenizer = tiny_models.tokenizer() if kind == "bytes" else sentence_piece(kind)
    return Vocabulary(tokenizer, len(tokenizer) + 5)


@pytest.mark.parametrize("kind", ["bytes", "normalizer", "metaspace", "bare"])
@pytest.mark.parametrize("text", ["", "the world", "  the\n\twine ", "é漢😀👩‍👩‍👧‍👦", "\x00\x7f", "‮‏עברית", "x"])
def test_tokens_spell_their_text(kind: str, text: str) -> None:
    known = vocabulary(kind)
    tokens = known.encode(text, add_special=False)
    if kind == "metaspace" and text.startswith(" "):
        text = text[1:]  # it puts no blank before another one, so that none can be told from one
    assert known.spell(tokens) == text
    assert b"".join(map(known.text_of, tokens)).decode() in (text, f" {text}")


@pytest.mark.parametrize("kind", ["bytes", "normalizer"])
def test_marks_are_no_text_of_an_answer(kind: str) -> None:
    known = vocabulary(kind)
    [end] = known.encode({"bytes": "<eos>", "normalizer": "</s>"}[kind], add_special=False)[-1:]
    assert known.text_of(end) == b""
    assert known.name_of(end) in (b"<eos>", b"</s>")


def test_half_a_pair_of_surrogates_is_no_text() -> None:
    known = vocabulary("bytes")
    assert known.spell(known.encode("a\ud83db", add_special=False)) == "a?b"


def test_tokens_a_model_does_not_have() -> None:
    tokenizer = tiny_models.tokenizer()
    known = Vocabulary(tokenizer, len(tokenizer) + 5)
    known.check([0, len(tokenizer) + 4], param="prompt")
    assert known.text_of(len(tokenizer) + 4) == b""
    for token in (-1, len(tokenizer) + 5):
        with pytest.raises(InvalidRequest):
            known.check([token], param="prompt")


def said(text: str, *, tokens: Sequence[int] = (), logprobs: bool = False, **how: Any) -> list[Delta]:
    known = vocabulary("bytes")
    request = GenerationRequest(TextPrompt("a"), Sampling(stop=how.pop("stop", ())))
    answer = Answer(request, known, Bounds(1000, frozenset({1})), prompt_tokens=1, **how)
    deltas = []
    for token in [*known.encode(text, add_special=False), *tokens, 1]:
        entry = logprob_entry(known, token, -1.0, [(token, -1.0)]) if logprobs else None
        if (delta := answer.add(token, entry, is_complete=False)) is not None:
            deltas.append(delta)
        if answer.is_over:
            break
    return [*deltas, answer.last()]


def test_thoughts_are_told_apart_from_the_answer() -> None:
    deltas = said("<think>well, the\n</think>\n\nworld", thoughts=ThoughtReader(has_begun=False), logprobs=True)
    assert "".join(delta.reasoning for delta in deltas) == "well, the\n"
    assert "".join(delta.text for delta in deltas) == "world"
    assert deltas[-1].finish_reason == "stop"


def test_stop_strings_are_looked_for_in_the_answer_only() -> None:
    deltas = said("<think>the end</think>the world", thoughts=ThoughtReader(has_begun=False), stop=("wor", "end"))
    assert "".join(delta.text for delta in deltas) == "the "
    assert "".join(delta.reasoning for delta in deltas) == "the end"


def test_calls_are_read_after_thoughts() -> None:
    deltas = said(
        '<think>so</think><tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>',
        thoughts=ThoughtReader(has_begun=False),
        reads_calls=True,
    )
    assert "".join(part.arguments for delta in deltas for part in delta.tool_calls) == '{"a": 1}'
    assert "".join(delta.text for delta in deltas) == ""
    assert deltas[-1].finish_reason == "tool_calls"


def test_half_a_character_at_the_end_is_never_shown() -> None:
    known = vocabulary("bytes")
    deltas = said("a", tokens=known.encode("漢", add_special=False)[:2])
    assert "".join(delta.text for delta in deltas) == "a"
