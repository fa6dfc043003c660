"""The text of a conversation, and where in it answers are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.records import Conversation
from fastchat.prompts.catalog import names
from fastchat.train.chat_format import ChatFormat, find_format
from tests.train.small import chatml_tokenizer, conversation, llama_tokenizer

_HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
_ASK = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
PLAIN = _HEAD + "{{ m.content }}<|im_end|>\n{% endfor %}" + _ASK
_ANSWER = "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
MARKED = _HEAD + "{% if m.role == 'assistant' %}" + _ANSWER + "{% else %}{{ m.content }}<|im_end|>{% endif %}"
MARKED += "{{ '\n' }}{% endfor %}"
TALK = conversation("Who are you?", "I am Vicuna.", "What?", "  Vicuna! ")


def _format(template: str, tokenizer: Any = None) -> ChatFormat:
    return ChatFormat("test", template, {"eos_token": "<|im_end|>"}, ("<|im_end|>",))


def _answers(chat_format: ChatFormat, talk: Conversation = TALK) -> list[str]:
    text, answers = chat_format.render(talk)
    return [text[start:end] for start, end in answers]


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[[str], str]:
    def make(template: str) -> str:
        (tmp_path / "chat_template.jinja").write_text(template)
        return str(tmp_path)

    return make


@pytest.mark.parametrize("template", [PLAIN, MARKED], ids=["by what stands before", "by marks"])
def test_answers_are_found_with_their_ends(template: str) -> None:
    assert _answers(_format(template)) == ["I am Vicuna.<|im_end|>", "  Vicuna! <|im_end|>"]


def test_marks_and_prefixes_give_the_same_text() -> None:
    assert _format(PLAIN).render(TALK) == _format(MARKED).render(TALK)


def test_a_stop_that_stands_behind_the_marks_is_trained() -> None:
    template = MARKED.replace("<|im_end|>{% endgeneration %}", "{% endgeneration %}<|im_end|>")

    assert _answers(_format(template)) == ["I am Vicuna.<|im_end|>", "  Vicuna! <|im_end|>"]


def test_answers_without_what_later_turns_take_away() -> None:
    """Thoughts are shown in the last turn only, so what was made of an answer is no beginning of the whole."""
    thinks = "{{ '<think></think>' if m.role == 'assistant' and loop.last else '' }}{{ m.content }}"

    assert _answers(_format(PLAIN.replace("{{ m.content }}", thinks))) == [
        "I am Vicuna.<|im_end|>",
        "<think></think>  Vicuna! <|im_end|>",
    ]


def test_a_template_that_rewrites_what_was_said_is_named_with_the_conversation() -> None:
    rewriting = _format(PLAIN.replace("{{ m.role }}", "{{ messages | length }}"))

    with pytest.raises(SetupError, match=r"\(test\) does not tell .* 'c'"):
        rewriting.render(TALK)


def test_an_answer_of_weight_0_is_not_trained() -> None:
    messages = [*TALK.messages]
    messages[1] = {**messages[1], "weight": 0}

    for template in (PLAIN, MARKED):
        assert _answers(_format(template), Conversation("c", messages)) == ["  Vicuna! <|im_end|>"]


def test_the_models_own_template_comes_first(model_folder: Callable[[str], str]) -> None:
    folder = model_folder(PLAIN)

    assert find_format(folder, chatml_tokenizer()).template == PLAIN
    assert find_format(folder, llama_tokenizer(), "vicuna_v1.1").name == "vicuna_v1.1"
    assert find_format("/models/vicuna-7b-v1.5", llama_tokenizer()).name == "vicuna_v1.1"
    with pytest.raises(SetupError, match="ships no chat template"):
        find_format("/models/nobodys", llama_tokenizer())


def test_what_the_template_ends_answers_with_is_a_stop(model_folder: Callable[[str], str]) -> None:
    """A base model stops at the end of a text, and has yet to learn that an answer ends before."""
    base = chatml_tokenizer(eos="<|endoftext|>")

    found = find_format(model_folder(PLAIN), base)

    assert found.stop_tokens == ("<|endoftext|>", "<|im_end|>")
    assert "<|im_end|>" in found.notes[0]


def test_the_tokenizers_own_last_token_stands_for_llamas() -> None:
    found = find_format("", chatml_tokenizer(), "vicuna_v1.1")

    assert found.stop_tokens == ("<|im_end|>",)
    assert "</s>" not in found.render(TALK).text
    assert _answers(found)[0] == " I am Vicuna.<|im_end|>"


def test_plain_text_that_ends_answers_is_no_token() -> None:
    """Otherwise every heading of Markdown would be the end."""
    found = find_format("", llama_tokenizer(), "zero_shot")

    assert (found.stop_tokens, found.stop_strings) == (("</s>",), ("###",))


def test_every_format_tells_where_answers_are() -> None:
    for name in names():
        found = find_format("", llama_tokenizer(), name)
        shown = 1 if name == "cllm" else 2  # which forgets all but the last exchange
        assert ["Vicuna" in answer for answer in _answers(found)] == [True] * shown, name


def test_pairs_ask_with_all_that_stands_before() -> None:
    t5 = ChatFormat("t5", PLAIN, {"eos_token": "</s>"}, ("</s>",))

    first, second = t5.pairs(TALK)

    assert first.text.endswith("Who are you?<|im_end|>\n<|im_start|>assistant\n</s>I am Vicuna.</s>")
    assert [first.text[slice(*span)] for span in first.answers] == ["I am Vicuna.</s>"]
    assert "I am Vicuna." in second.text[: second.answers[0].start]
