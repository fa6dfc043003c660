from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.prompts import catalog
from fastchat.prompts.layouts import layout_text

ALONE = {"turns": "vicuna_v1.1", "instructions": "llama-2", "rounds": "chatglm2", "joined": "yuan2"}


@pytest.mark.parametrize(("layout", "name"), ALONE.items())
def test_a_layout_file_alone_is_the_format_it_says(layout: str, name: str) -> None:
    comment, _, rest = layout_text(layout).partition("-#}\n")
    assert rest.rstrip() == catalog.find(name).template.rstrip()
    assert name in comment


def test_every_layout_file_is_known() -> None:
    folder = Path(catalog.__file__).parent / "chat_templates"
    assert {file.stem for file in folder.iterdir()} == set(ALONE)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("lmsys/vicuna-7b-v1.5", "vicuna_v1.1"),
        ("lmsys/vicuna-13b-v1.5-16k", "vicuna_v1.1"),
        ("lmsys/vicuna-13b-delta-v0", "vicuna_v0"),
        ("TheBloke/stable-vicuna-13B-GGUF", "stable-vicuna"),
        ("vicuna-7b-v1.5.Q4_K_M.gguf", "vicuna_v1.1"),
        ("/models/vicuna-7b-v1.5/checkpoint-100", "vicuna_v1.1"),
        ("/cache/models--lmsys--vicuna-7b-v1.5/snapshots/3321f76e3f527bd14065daf69dad9344000a201d", "vicuna_v1.1"),
        ("lmsys/fastchat-t5-3b-v1.0", "fastchat-t5"),
        ("lmsys/longchat-7b-16k", "longchat"),
        ("lmsys/longchat-7b-v1.5-32k", "longchat"),
        ("google/flan-t5-xl", "fastchat-t5"),
        ("young-geng/koala", "koala_v1"),
        ("tatsu-lab/alpaca-7b-wdiff", "alpaca"),
        ("hfl/chinese-alpaca-2-7b", "chinese-alpaca2"),
        ("THUDM/chatglm-6b", "chatglm"),
        ("THUDM/chatglm2-6b", "chatglm2"),
        ("THUDM/chatglm3-6b", "chatglm3"),
        ("databricks/dolly-v2-12b", "dolly_v2"),
        ("OpenAssistant/oasst-sft-4-pythia-12b-epoch-3.5", "oasst_pythia"),
        ("OpenAssistant/oasst-sft-7-llama-30b", "oasst_llama"),
        ("openchat/openchat_3.5", "openchat_3.5"),
        ("stabilityai/stablelm-tuned-alpha-7b", "stablelm"),
        ("project-baize/baize-v2-7b", "baize"),
        ("BlinkDL/RWKV-4-Raven", "rwkv"),
        ("FreedomIntelligence/phoenix-inst-chat-7b", "phoenix"),
        ("mosaicml/mpt-7b-chat", "mpt-7b-chat"),
        ("mosaicml/mpt-30b-instruct", "mpt-30b-instruct"),
        ("togethercomputer/RedPajama-INCITE-7B-Chat", "redpajama-incite"),
        ("jondurbin/airoboros-l2-70b-3.1.2", "airoboros_v3"),
        ("jondurbin/airoboros-l2-13b-2.2.1", "airoboros_v2"),
        ("jondurbin/airoboros-13b", "airoboros_v1"),
        ("WizardLM/WizardLM-13B-V1.2", "vicuna_v1.1"),
        ("WizardLM/WizardLM-7B-V1.0", "one_shot"),
        ("WizardLM/WizardCoder-15B-V1.0", "alpaca"),
        ("WizardLM/WizardMath-70B-V1.0", "alpaca"),
        ("h2oai/h2ogpt-gm-oasst1-en-2048-open-llama-7b", "h2ogpt"),  # tuned on data of oasst
        ("camel-ai/CAMEL-13B-Combined-Data", "vicuna_v1.1"),
        ("timdettmers/guanaco-33b-merged", "zero_shot"),
        ("allenai/tulu-2-dpo-70b", "tulu"),
        ("tiiuae/falcon-180B-chat", "falcon-chat"),
        ("tiiuae/falcon-7b-instruct", "falcon"),
        ("baichuan-inc/Baichuan2-13B-Chat", "baichuan2-chat"),
        ("baichuan-inc/Baichuan-13B-Chat", "baichuan-chat"),
        ("internlm/internlm-chat-7b", "internlm-chat"),
        ("HuggingFaceH4/starchat-beta", "starchat"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama-2"),
        ("FlagAlpha/Llama2-Chinese-13b-Chat", "llama2-chinese"),
        ("Open-Orca/Mistral-7B-OpenOrca", "mistral-7b-openorca"),
        ("Open-Orca/OpenOrcaxOpenChat-Preview2-13B", "open-orca"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistral"),
        ("teknium/OpenHermes-2.5-Mistral-7B", "OpenHermes-2.5-Mistral-7B"),
        ("NousResearch/Nous-Hermes-13b", "alpaca"),
        ("Qwen/Qwen-7B-Chat", "qwen-7b-chat"),
        ("BAAI/AquilaChat2-34B-16K", "aquila"),
        ("BAAI/AquilaChat2-34B", "aquila-legacy"),
        ("BAAI/AquilaChat2-7B", "aquila-v1"),
        ("BAAI/AquilaChat-7B", "aquila-chat"),
        ("bofenghuang/vigostral-7b-chat", "vigogne_chat_v3"),
        ("bofenghuang/vigogne-2-7b-chat", "vigogne_chat_v2"),
        ("bofenghuang/vigogne-7b-instruct", "vigogne_instruct"),
        ("Phind/Phind-CodeLlama-34B-v2", "phind"),
        ("codellama/CodeLlama-34b-Instruct-hf", "llama-2"),
        ("HuggingFaceH4/zephyr-7b-beta", "zephyr"),
        ("argilla/notus-7b-v1", "zephyr"),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", "TinyLlama"),
        ("Xwin-LM/Xwin-LM-7B-V0.1", "vicuna_v1.1"),
        ("PygmalionAI/pygmalion-2-7b", "metharme"),
        ("microsoft/Orca-2-13b", "orca-2"),
        ("01-ai/Yi-34B-Chat", "Yi-34b-chat"),
        ("deepseek-ai/deepseek-coder-33b-instruct", "deepseek-coder"),
        ("deepseek-ai/deepseek-llm-67b-chat", "deepseek-chat"),
        ("IEITYuan/Yuan2-2B-hf", "yuan2"),
        ("upstage/SOLAR-10.7B-Instruct-v1.0", "solar"),
        ("liuhaotian/llava-v1.6-34b", "llava-chatml"),
        ("liuhaotian/llava-v1.5-7b", "vicuna_v1.1"),
        ("cllm/consistency-llm-7b-sharegpt48k", "cllm"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama-3"),
        ("google/gemma-7b-it", "gemma"),
    ],
)
def test_models_without_a_template_get_their_format(model: str, name: str) -> None:
    found = catalog.match(model)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "model",
    [
        "my-model",
        "gpt2",
        "meta-llama/Llama-2-7b-hf",  # a base model: nobody tuned it on a format
        "meta-llama/Llama-3.1-8B-Instruct",  # ships its own; FastChat gave it a text for logs
        "internlm/internlm2-chat-7b",
        "stabilityai/stablelm-2-zephyr-1_6b",
        "prompt-tuned-model",  # holds "mpt"
        "/home/robin/models/thing",
        "BAAI/bge-large-en",
        "NousResearch/Nous-Hermes-2-SOLAR-10.7B",
        "EleutherAI/pythia-12b",
    ],
)
def test_no_format_is_guessed(model: str) -> None:
    assert catalog.match(model) is None


def test_every_rule_and_alias_leads_to_a_format() -> None:
    names = catalog.names()
    assert {rule.format for rule in catalog.rules()} <= set(names)
    assert len(names) == len(set(names)) == 105
    longchat = catalog.find("longchat")
    assert (longchat.name, longchat.template) == ("longchat", catalog.find("vicuna_v1.1").template)


def test_a_file_is_a_format_too(tmp_path: Path) -> None:
    file = tmp_path / "shout.jinja"
    file.write_text("{{ messages[0].content | upper }}")
    format = catalog.find(str(file))
    assert (format.name, format.render([{"role": "user", "content": "hé"}])) == ("shout", "HÉ")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"{% if %}", r"bad\.jinja: .*not valid Jinja: line 1"), (b"\xff\xfe", "not a text file")],
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "bad.jinja"
    file.write_bytes(content)
    with pytest.raises(SetupError, match=complaint):
        catalog.find(str(file))


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    with pytest.raises(SetupError, match=r"'Vicuna_v1\.2'.*vicuna_v1\.1.*fastchat prompts list"):
        catalog.find("Vicuna_v1.2")
