import pytest

from fastchat.web.session import Answer, Conversation, Ending


def answered(text: str) -> Answer:
    answer = Answer("tiny-chat", text=text)
    answer.end(Ending.COMPLETE, now=0)
    return answer


def failed() -> Answer:
    answer = Answer("tiny-chat")
    answer.end(Ending.FAILED, now=0, failure="No.")
    return answer


def test_the_model_is_sent_the_whole_conversation_with_the_last_question_open() -> None:
    conversation = Conversation()
    conversation.ask("one?", answered("one."))
    conversation.ask("two?", Answer("tiny-chat"))
    assert conversation.messages("Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one?"},
        {"role": "assistant", "content": "one."},
        {"role": "user", "content": "two?"},
    ]


def test_a_blank_system_message_is_not_sent() -> None:
    conversation = Conversation()
    conversation.ask("one?", Answer("tiny-chat"))
    assert conversation.messages("  \n") == [{"role": "user", "content": "one?"}]


def test_a_turn_that_came_to_nothing_is_not_sent() -> None:
    conversation = Conversation()
    conversation.ask("lost?", failed())
    conversation.ask("again?", Answer("tiny-chat"))
    assert conversation.messages("") == [{"role": "user", "content": "again?"}]


def test_thoughts_are_not_sent_back() -> None:
    conversation = Conversation()
    conversation.ask("one?", answered("<think>Hm.</think>\n\none."))
    conversation.ask("two?", Answer("tiny-chat"))
    assert conversation.messages("")[1] == {"role": "assistant", "content": "one."}


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("plain", "", "plain"),
        ("<think>why", "why", ""),
        ("<think>why</think>\n\nthus", "why", "thus"),
        ("\n<think>\nwhy\n</think>thus", "why", "thus"),
        ("why</think>thus", "why", "thus"),  # the prompt ended with the opening tag
        ("a <think> in a sentence", "", "a <think> in a sentence"),
    ],
)
def test_thoughts_in_the_text_are_told_apart(text: str, thought: str, said: str) -> None:
    answer = Answer("tiny-chat", text=text)
    assert (answer.thought, answer.said) == (thought, said)


def test_asking_stops_the_answer_before() -> None:
    conversation, stopped = Conversation(), []
    first = Answer("tiny-chat", break_off=lambda: stopped.append("first"))
    first.begin(now=0)
    conversation.ask("one?", first)
    conversation.ask("two?", Answer("tiny-chat"))
    assert stopped == ["first"]


def test_an_answer_that_is_stopped_before_it_began_has_ended() -> None:
    answer = Answer("tiny-chat")
    answer.stop()
    assert answer.ending is Ending.STOPPED


def test_stopping_an_answer_that_has_ended_changes_nothing() -> None:
    answer = answered("one.")
    answer.stop()
    assert answer.ending is Ending.COMPLETE


def test_taking_back_removes_the_turn_and_returns_its_question() -> None:
    conversation = Conversation()
    conversation.ask("one?", answered("one."))
    conversation.ask("two?", answered("two."))
    assert conversation.take_back() == "two?"
    assert [turn.question for turn in conversation.turns] == ["one?"]


def test_nothing_can_be_taken_back_from_an_empty_conversation() -> None:
    assert Conversation().take_back() == ""


def test_speed_counts_from_the_first_token() -> None:
    answer = Answer("tiny-chat")
    answer.begin(now=10.0)
    answer.grow(text="", reasoning="", now=10.4)  # the role alone is no token
    answer.grow(text="a", reasoning="", now=10.5)
    answer.grow(text="b", reasoning="", now=12.0)
    answer.completion_tokens = 21
    answer.end(Ending.COMPLETE, now=12.5)
    assert answer.time_to_first_token_s == 0.5
    assert answer.tokens_per_s == 10.0


@pytest.mark.parametrize("tokens", [None, 0, 1])
def test_there_is_no_speed_without_two_tokens(tokens: int | None) -> None:
    answer = Answer("tiny-chat", completion_tokens=tokens)
    answer.begin(now=0)
    answer.grow(text="a", reasoning="", now=1)
    answer.end(Ending.COMPLETE, now=2)
    assert answer.tokens_per_s is None
