"""Tokens, and which of them are trained."""

from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.records import Conversation
from fastchat.train.chat_format import ChatFormat, find_format
from fastchat.train.encoding import Encoder, Sample
from tests.train.small import chatml_tokenizer, conversation, llama_tokenizer
from tests.train.test_chat_format import PLAIN

TALK = conversation("Who are you?", "I am Vicuna 🙂.", "Bye", "Goodbye")


def _encoder(tokenizer: Any = None, max_length: int = 500, **settings: Any) -> Encoder:
    tokenizer = tokenizer or llama_tokenizer()
    return Encoder(tokenizer, find_format("", tokenizer, "vicuna_v1.1"), max_length=max_length, **settings)


def _said(sample: Sample, tokenizer: Any) -> str:
    return str(tokenizer.decode(sample.ids[sample.trained].tolist(), clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("tokenizer", [llama_tokenizer(), chatml_tokenizer()], ids=["LLaMA's", "over bytes"])
def test_answers_and_their_ends_are_trained(tokenizer: Any) -> None:
    (sample,) = _encoder(tokenizer).encode([TALK])

    end = tokenizer.eos_token
    assert _said(sample, tokenizer).replace(" ", "") == f"IamVicuna🙂.{end}Goodbye{end}"


def test_the_first_token_is_not_doubled() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = llama_tokenizer()
    adds = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, bos_token="<s>", eos_token="</s>")
    adds.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    assert adds("a")["input_ids"][0] == 1

    (sample,) = _encoder(adds).encode([TALK])

    assert sample.ids.tolist().count(1) == 1


def test_a_tokenizer_that_cuts_and_pads_by_itself_does_not() -> None:
    tokenizer = chatml_tokenizer()
    backend, chat_format = tokenizer.backend_tokenizer, find_format("", tokenizer, "vicuna_v1.1")
    whole = next(Encoder(tokenizer, chat_format, max_length=500).encode([TALK]))
    backend.enable_truncation(5)
    backend.enable_padding(length=900)
    try:
        sample = next(Encoder(tokenizer, chat_format, max_length=500).encode([TALK]))
        assert sample.ids.tolist() == whole.ids.tolist()
        assert backend.truncation["max_length"] == 5  # it is left as it was
    finally:
        backend.no_truncation()
        backend.no_padding()


@pytest.mark.parametrize(
    ("too_long", "lengths"), [("truncate", [60]), ("split", [60, 18]), ("drop", [])], ids=["cut", "split", "dropped"]
)
def test_long_samples(too_long: Any, lengths: list[int]) -> None:
    encoder = _encoder(max_length=60, too_long=too_long)

    samples = list(encoder.encode([TALK]))

    assert [len(sample.ids) for sample in samples] == lengths
    assert encoder.counts.too_long == 1


def test_samples_that_train_nothing_are_counted_and_left_out() -> None:
    encoder = _encoder(max_length=20)

    assert list(encoder.encode([TALK, conversation("Only a question?")])) == []
    assert (encoder.counts.nothing, encoder.counts.first_nothing) == (2, "c")


def test_conversations_that_the_template_refuses_are_counted() -> None:
    encoder = _encoder()
    strange = Conversation("strange", [{"role": "wizard", "content": "Hm."}])

    assert len(list(encoder.encode([strange, TALK]))) == 1
    assert encoder.counts.refused == 1
    assert "'strange'" in encoder.counts.first_refusal


def test_a_conversation_that_begins_with_an_answer_is_refused() -> None:
    tokenizer = chatml_tokenizer()
    encoder = Encoder(tokenizer, ChatFormat("test", PLAIN, {}, ("<|im_end|>",)), max_length=500)

    assert list(encoder.encode([Conversation("c", TALK.messages[1:])])) == []
    assert "begins with an answer" in encoder.counts.first_refusal


def test_half_a_character_is_named() -> None:
    with pytest.raises(SetupError, match="'c' holds half a character"):
        list(_encoder().encode([conversation("Hi", "\ud83d")]))


def test_answers_that_do_not_stop_are_counted() -> None:
    tokenizer = chatml_tokenizer()
    endless = ChatFormat("endless", PLAIN.replace("<|im_end|>", ""), {}, ("<|im_end|>",))
    encoder = Encoder(tokenizer, endless, max_length=500)

    list(encoder.encode([TALK]))

    assert (encoder.counts.answers, encoder.counts.unstopped) == (2, 2)


def test_only_the_last_answer() -> None:
    tokenizer = llama_tokenizer()

    (sample,) = _encoder(last_answer_only=True).encode([TALK])

    assert _said(sample, tokenizer).strip() == "Goodbye</s>"


def test_pairs_keep_the_end_of_a_question_and_the_beginning_of_an_answer() -> None:
    tokenizer = llama_tokenizer()
    encoder = _encoder(max_length=12, pairs=True)
    long = conversation("Who are you, and what is the capital of France?", "I am Vicuna, a language model. " * 3)

    (sample,) = encoder.encode([long])

    question, answer = sample.ids[~sample.trained], sample.ids[sample.trained]
    assert (len(question), len(answer)) == (12, 12)
    assert tokenizer.decode(question).endswith("ASSISTANT:</s>")
    assert tokenizer.decode(answer).strip().startswith("I am Vicuna")


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(SetupError, match=r"tokenizer Slow .* tokenizer\.json"):
        Encoder(Slow(), find_format("", llama_tokenizer(), "vicuna_v1.1"), max_length=10)


def test_the_digest_is_of_all_that_matters() -> None:
    digests = {
        _encoder().digest,
        _encoder(max_length=7).digest,
        _encoder(too_long="split").digest,
        _encoder(chatml_tokenizer()).digest,
        Encoder(llama_tokenizer(), find_format("", llama_tokenizer(), "vicuna_v0"), max_length=500).digest,
    }

    assert len(digests) == 5
    assert _encoder().digest in digests


@pytest.mark.parametrize("name", ["vicuna_v1.1", "zephyr", "qwen-7b-chat"])
def test_tokens_and_masks_are_those_of_transformers(name: str) -> None:
    """The same template, saved with the model, gives everybody else the same tokens."""
    tokenizer = chatml_tokenizer()
    chat_format = find_format("", tokenizer, name)

    (sample,) = Encoder(tokenizer, chat_format, max_length=500).encode([TALK])

    theirs = tokenizer.apply_chat_template(
        list(TALK.messages), chat_template=chat_format.template, return_dict=True, return_assistant_tokens_mask=True
    )
    assert sample.ids.tolist() == theirs["input_ids"]
    assert sample.trained.tolist() == [bool(each) for each in theirs["assistant_masks"]]
