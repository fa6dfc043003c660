import pytest

from fastchat.llm_judge.parameters import KnownFields

GIVEN = {"temperature": 0.0, "max_tokens": 9, "seed": 0}
REASONING = {"max_completion_tokens": 9, "seed": 0}


@pytest.mark.parametrize(
    ("host", "name", "expected"),
    [
        ("api.openai.com", "o3-mini", REASONING),
        ("api.openai.com", "GPT-5.1", REASONING),
        ("api.openai.com", "gpt-5-mini-2025-08-07", REASONING),
        ("api.openai.com", "gpt-5-chat-latest", GIVEN),
        ("api.openai.com", "gpt-4o", GIVEN),
        ("api.openai.com", "omni-1", GIVEN),
        ("127.0.0.1", "o3-mini", GIVEN),  # whoever calls a model of his so
    ],
)
def test_what_the_table_says_of_openais_models(host: str, name: str, expected: dict[str, object]) -> None:
    assert KnownFields(lambda _: [(host, name)]).of("anything").of(GIVEN) == expected
