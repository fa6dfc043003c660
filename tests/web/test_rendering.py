from typing import Any

import pytest

from fastchat.web.rendering import WAITING, facts, log_of, turn_of_row
from fastchat.web.session import Answer, Conversation, Ending


def texts(conversation: Conversation) -> list[tuple[str, str]]:
    return [(row["role"], row["content"][0]["text"]) for row in log_of(conversation)]


def ended(ending: Ending = Ending.COMPLETE, failure: str = "", **fields: Any) -> Answer:
    answer = Answer("tiny-chat", **fields)
    answer.end(ending, now=0, failure=failure)
    return answer


def test_an_answer_without_a_token_is_shown_as_waiting() -> None:
    conversation = Conversation()
    conversation.ask("one?", Answer("tiny-chat"))
    assert texts(conversation) == [("user", "one?"), ("assistant", WAITING)]


def test_facts_follow_an_answer_that_ended() -> None:
    conversation = Conversation()
    conversation.ask("one?", ended(text="one."))
    assert texts(conversation)[1:] == [("assistant", "one."), ("assistant", '<div class="fc-facts">tiny-chat</div>')]


def test_indented_code_keeps_its_indentation() -> None:
    conversation = Conversation()
    conversation.ask("code?", ended(text="Here:\n    if x:\n        return"))
    row = log_of(conversation)[1]
    assert row["content"] == [{"type": "text", "text": "Here:\n    if x:\n        return"}]


def test_reasoning_is_open_while_it_is_written_and_folded_afterwards() -> None:
    conversation, answer = Conversation(), Answer("tiny-chat", reasoning="Hm.")
    conversation.ask("one?", answer)
    assert log_of(conversation)[1]["metadata"] == {"title": "Reasoning", "status": "pending"}
    answer.text = "one."
    assert log_of(conversation)[1]["metadata"] == {"title": "Reasoning", "status": "done"}


def test_a_failure_cannot_smuggle_in_markup() -> None:
    conversation = Conversation()
    conversation.ask("one?", ended(Ending.FAILED, failure="<img src=x>"))
    assert "&lt;img src=x&gt;" in texts(conversation)[1][1]


def test_a_row_of_the_log_leads_to_its_turn() -> None:
    conversation = Conversation()
    conversation.ask("one?", ended(text="one.", reasoning="Hm."))
    conversation.ask("two?", ended(text="two."))
    assert [turn_of_row(conversation, row) for row in (0, 4)] == [0, 1]


@pytest.mark.parametrize("row", [-1, 1, 3, 99])
def test_a_row_that_holds_no_question_leads_nowhere(row: int) -> None:
    conversation = Conversation()
    conversation.ask("one?", ended(text="one.", reasoning="Hm."))
    assert turn_of_row(conversation, row) is None


def test_facts_tell_tokens_speed_and_wait() -> None:
    answer = Answer("tiny-chat", completion_tokens=41)
    answer.begin(now=0)
    answer.grow(text="a", reasoning="", now=0.25)
    answer.end(Ending.COMPLETE, now=2.25)
    assert facts(answer) == "tiny-chat · 41 tokens · 20 tokens/s · first token after 0.25 s"


@pytest.mark.parametrize(
    ("ending", "words"), [(Ending.STOPPED, "stopped"), (Ending.CUT_OFF, "cut off at the token limit")]
)
def test_facts_tell_why_an_answer_is_incomplete(ending: Ending, words: str) -> None:
    assert facts(ended(ending)) == f"tiny-chat · {words}"
