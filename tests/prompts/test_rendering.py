"""Templates run in a sandbox, with what other programs offer them, and mean the same there."""

from datetime import datetime
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.prompts import catalog
from fastchat.prompts.rendering import render
from tests.prompts.test_formats import MORE

USER = [{"role": "user", "content": "Hi <b>"}]


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__.__base__.__subclasses__() }}",
        "{{ namespace.__init__.__globals__.keys() }}",
        "{{ raise_exception.__globals__.keys() }}",
        "{{ (''|attr('__class__')).mro() }}",
        "{% set ns = namespace(__class__=1) %}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'content': 'x'}) }}",
        "{{ range(10**9) | list }}",
        "{{ open('/etc/passwd') }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content + 1 }}",
    ],
)
def test_a_template_gets_nowhere(template: str) -> None:
    with pytest.raises(SetupError, match="fails on this conversation"):
        render(template, USER)


def test_formatting_leads_nowhere_either() -> None:
    assert render("{{ '{0.__class__}'.format(messages) }}", USER) == ""


def test_conversations_are_values_and_never_templates() -> None:
    attack = "{{ 7 * 7 }}{% raw %}"
    assert attack in catalog.find("llama-2").render([{"role": "system", "content": attack}, *USER])


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ messages | tojson }}", '[{"role": "user", "content": "Hi <b>"}]'),
        ("{{ {'b': 'é', 'a': 1} | tojson(indent=1, sort_keys=true) }}", '{\n "a": 1,\n "b": "é"\n}'),
        ("{{ strftime_now('%Y') }}", str(datetime.now().year)),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% generation %}said{% endgeneration %}!", "said!"),
        ("a\n  {% if true %}\nb\n  {% endif %}\nc", "a\nb\nc"),
        ("{{ tools is none }} {{ add_generation_prompt }} {{ bos_token }}", "True False "),
    ],
)
def test_templates_find_what_they_are_written_for(template: str, text: str) -> None:
    assert render(template, USER) == text


def test_a_templates_own_complaint_is_the_callers_fault() -> None:
    with pytest.raises(InvalidRequest, match="refuses this conversation: no!"):
        render("{{ raise_exception('no!') }}", USER)


def test_tools_and_variables_reach_the_template() -> None:
    tool = {"type": "function", "function": {"name": "now"}}
    template = "{{ tools[0].function.name }} {{ bos_token }}"
    assert render(template, USER, tools=[tool], variables={"bos_token": "<s>"}) == "now <s>"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A tokenizer of characters: every text has as many tokens as letters."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    characters = {
        character for messages in MORE["conversations"].values() for m in messages for character in m["content"]
    }
    vocabulary = {character: number for number, character in enumerate(["?", *sorted(characters - {"?"})])}
    model = tokenizers.models.WordLevel(vocabulary, unk_token="?")
    raw = tokenizers.Tokenizer(model)
    raw.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw)


@pytest.mark.parametrize("name", catalog.names())
def test_transformers_renders_the_same(tokenizer: Any, name: str) -> None:
    format = catalog.find(name)
    for messages in MORE["conversations"].values():
        asks = messages[-1]["role"] == "user"
        theirs = tokenizer.apply_chat_template(
            messages, chat_template=format.template, tokenize=False, add_generation_prompt=asks
        )
        assert theirs == format.render(messages)


def test_transformers_finds_what_is_trained_on(tokenizer: Any) -> None:
    messages = [*USER, {"role": "assistant", "content": "Yes."}]
    encoded = tokenizer.apply_chat_template(
        messages,
        chat_template=catalog.find("vicuna_v1.1").template,
        return_assistant_tokens_mask=True,
        return_dict=True,
    )
    text = catalog.find("vicuna_v1.1").render(messages)
    mask = encoded["assistant_masks"]
    assert "".join(character for character, learned in zip(text, mask, strict=True) if learned) == " Yes.</s>"


def test_a_tokenizers_first_token_opens_the_prompts_of_models_that_want_it() -> None:
    text = catalog.find("vicuna_v1.1").render(USER, bos_token="<s>")
    assert text.startswith("<s>A chat")
    assert catalog.find("qwen-7b-chat").render(USER, bos_token="<s>").startswith("<|im_start|>")


def test_an_encoder_reads_the_prompt_to_its_end() -> None:
    text = catalog.find("fastchat-t5").render(USER, bos_token="<s>", eos_token="</s>")
    assert text == catalog.find("one_shot").render(USER) + "</s>"
