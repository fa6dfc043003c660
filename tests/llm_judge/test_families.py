"""Who is kin by name, and who only looks like it."""

import pytest

from fastchat.llm_judge.families import families_of, kin


@pytest.mark.parametrize(
    ("model", "families"),
    [
        ("gpt-4", {"gpt"}),
        ("ChatGPT-4o-latest", {"gpt"}),
        ("o1-mini", {"gpt"}),
        ("openai/gpt-oss-20b", {"gpt"}),
        ("claude-3-5-sonnet-20241022", {"claude"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("vicuna-7b-v1.5", {"llama"}),
        ("llama-2-7b-gptq", {"llama"}),
        ("deepseek-r1-distill-qwen-7b", {"deepseek", "qwen"}),
        ("smollm2-135m-instruct", {"smollm"}),
        ("gemma2:9b", {"gemini"}),
        ("phi3", {"phi"}),
        ("dolphin-2.5", set()),
        ("yolo1", set()),
        ("my-model", set()),
        ("majority(gpt-4, claude-3)", {"gpt", "claude"}),
    ],
)
def test_families_by_name(model: str, families: set[str]) -> None:
    assert families_of(model) == families


def test_a_judges_kin_is_named_with_what_they_share() -> None:
    found = kin("gpt-4", ["claude-3", "gpt-3.5-turbo", "openai/gpt-4"])
    assert [(each.model, each.shared) for each in found] == [
        ("gpt-3.5-turbo", "the family gpt"),
        ("openai/gpt-4", "the same model"),
    ]
    assert kin("claude-3", ["gpt-4", "llama-3"]) == ()


def test_a_model_of_no_known_family_is_kin_to_itself_only() -> None:
    assert [each.model for each in kin("mine", ["mine", "mine-too"])] == ["mine"]
