"""Supervised tuning of encoder-decoders, as FastChat-T5: all that stands before an answer is the question."""

from typing import Any

from fastchat.train.batches import PairBatch
from fastchat.train.examples import Examples
from fastchat.train.sft import Lessons

# What T5's vocabulary cannot write; FastChat-T5 has a token for each.
_FOR_CODE = ("<", "{", "\n", "}", "`", " ", "\\", "^", "\t")


def pairs(examples: Examples, pad_token_id: int) -> Lessons:
    """Questions for the encoder, answers for the decoder."""
    collate = PairBatch(pad_token_id, multiple_of=8, is_weighted=examples.is_weighted)
    return Lessons(examples.train, examples.evaluation, collate)


def teach_code(tokenizer: Any) -> list[str]:
    """Add the signs of code that the tokenizer cannot write, and return them."""
    from tokenizers import AddedToken

    missing = [sign for sign in _FOR_CODE if not _can_write(tokenizer, sign)]
    # Found before the text is normalised, which makes a space of a line break.
    tokenizer.add_tokens([AddedToken(sign, normalized=False) for sign in missing])
    return missing


def _can_write(tokenizer: Any, sign: str) -> bool:
    ids = tokenizer(f"a{sign}{sign}b", add_special_tokens=False)["input_ids"]
    said = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return bool(said.count(sign) >= 2)
