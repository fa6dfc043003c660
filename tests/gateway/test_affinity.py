from fastchat.gateway.openai_api import _affinity

SYSTEM = {"role": "system", "content": "You are patient. " * 500}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_later_turns_keep_the_key_of_the_first() -> None:
    answer = {"role": "assistant", "content": "Blue."}
    first = _affinity({"messages": [SYSTEM, user("A colour?")]})
    assert _affinity({"messages": [SYSTEM, user("A colour?"), answer, user("Another?")]}) == first


def test_a_long_system_prompt_does_not_make_all_conversations_one() -> None:
    assert _affinity({"messages": [SYSTEM, user("A colour?")]}) != _affinity({"messages": [SYSTEM, user("A river?")]})


def test_a_key_of_the_client_decides_and_nothing_to_go_by_is_no_key() -> None:
    keyed = {"prompt_cache_key": "k"}
    assert _affinity({**keyed, "prompt": "a"}) == _affinity({**keyed, "prompt": "b"})
    assert _affinity({"input": "a"}) is None
