"""What looks like dirt and is none. (What is dirt stands in test_planted_dirt.)"""

from dataclasses import replace

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.cleaning.choosing import USUAL, CleaningOptions, choose
from fastchat.data.cleaning.contamination import Contamination, Question
from fastchat.data.cleaning.contents import BlockedWords, Identity, RepeatedText, WrongLists, language_of
from fastchat.data.cleaning.personal import PersonalData, find_personal_data
from fastchat.data.cleaning.rules import Changed, Dropped, Rule
from fastchat.data.cleaning.shape import Errors, Refusals, Roles, Short
from fastchat.data.records import Conversation
from tests.fastchat_data.talks import talk

CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        (Errors(), 'If the page says "Something went wrong", ' + "reload it and look at the log. " * 20),
        (Refusals(), "I'm sorry to hear that. You can ask your doctor for help."),
        (Refusals(), "As an AI language model, I have no body, but here is how a run feels."),
        (WrongLists(), "1. a\n2. b\n\nThen:\n\n1. c\n2. d"),
        (WrongLists(), "1. a\n   1. deeper\n2. b\n   1. deeper"),
        (WrongLists(), "```\n1. x\n1. x\n```"),
        (RepeatedText(), "yes\n" * 5),
        (RepeatedText(), "| - | - |\n" + "".join(f"| {n} | {n * n} |\n" for n in range(300))),
        (RepeatedText(), "```\n" + "}\n" * 12 + "```"),
        (BlockedWords(("openai",)), "Open AI to all."),
    ],
)
def test_it_is_kept(rule: Rule, answer: str) -> None:
    assert rule.apply(talk("A question?", answer)) is None


@pytest.mark.parametrize(
    "text",
    [
        "Write to user@example.com or root@localhost, your.name@company.com.",
        "Version 1.2.3.4 listens on 127.0.0.1, 192.168.0.1 and 0.0.0.0, 255.255.255.0.",
        "The years 1914 1918 and 1939-1945, ISBN 978-3-16-148410-0, 12 345 678 people.",
        "On 2023-04-05 12:30:45 it was 3.14159265358979 or 1234567890123456.",
        "uses: devcontainers/ci@v0.3, a 10.5.2 release, 597 6.4 .454 1.7 .900 4.1 .588",
        "00:1A:2B:3C:4D:5E and a::b and std::vector<int>::iterator",
        "GB-2023 0000 invoices; 000-12-3456 is no number.",
    ],
)
def test_what_is_nobodys_is_no_personal_data(text: str) -> None:
    assert find_personal_data(text) == []


@pytest.mark.parametrize(("region", "found"), [("DE", ["phone"]), ("US", [])])
def test_phone_numbers_without_a_countrys_code_are_of_the_regions(region: str, found: list[str]) -> None:
    assert [one.kind for one in find_personal_data("Ruf 030 23125 444 an.", (region,))] == found


def test_personal_data_may_drop() -> None:
    assert isinstance(PersonalData("drop").apply(talk("Mail ann.lee@acme-mail.org", "Done.")), Dropped)


def test_examples_of_personal_data_are_masked_too() -> None:
    found = PersonalData().apply(talk("Mail ann.lee@acme-mail.org", "Done."))
    assert isinstance(found, Changed)
    assert "ann" not in found.found


def test_tools_take_their_turns() -> None:
    said = [
        {"role": "user", "content": "?"},
        CALL,
        {"role": "tool", "content": "1"},
        {"role": "assistant", "content": "1"},
    ]
    assert Roles().apply(Conversation("t", said)) is None
    cut = Roles().apply(Conversation("t", said[:3]))
    assert isinstance(cut, Changed | Dropped)


def test_the_systems_message_stays_in_front() -> None:
    system = {"role": "system", "content": "Be kind."}
    one = replace(talk("Hi", "Hello", "Bye"), messages=[system, *talk("Hi", "Hello", "Bye").messages])
    found = Roles().apply(one)
    assert isinstance(found, Changed)
    assert list(found.conversation.messages) == [system, *talk("Hi", "Hello").messages]


def test_an_image_says_something() -> None:
    image = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    said = [{"role": "user", "content": image}, {"role": "assistant", "content": "That is a red house with a garden."}]
    assert Short().apply(Conversation("t", said)) is None


def test_the_language_is_told_from_the_whole_and_not_from_its_code() -> None:
    german = "Das Haus steht am See, und im Garten blühen die ersten Rosen dieses Jahres. "
    boilerplate = "Hello, I am your helpful assistant. "
    assert language_of(boilerplate + german * 40) == "de"
    assert language_of("12 + 30 = 42") == "unknown"


def test_an_assistant_may_have_its_own_name() -> None:
    rule = Identity(lambda text: ["vicuna"] if "Vicuna" in text else [], own=("Vicuna",))
    assert rule.apply(talk("Who?", "I am Vicuna.")) is None
    assert isinstance(replace(rule, own=()).apply(talk("Who?", "I am Vicuna.")), Dropped)


@pytest.mark.parametrize(
    "text",
    ["Write a short story about a dog who sails.", "What is the capital of Spain?"],
)
def test_questions_that_only_begin_alike_are_no_contamination(text: str) -> None:
    questions = (Question("q 1", "Write a short story about a cat."), Question("q 2", "What is the capital of Norway?"))
    assert Contamination(questions).apply(talk(text, "Yes.")) is None


@pytest.mark.parametrize(
    ("only", "more", "told"),
    [
        (["html", "nope"], [], "no rule 'nope'. Known: plugins, html"),
        ([], ["words"], "--words"),
        ([], ["language"], "--keep-l"),
    ],
)
def test_wrong_rules_are_refused(only: list[str], more: list[str], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        choose(CleaningOptions(), only, more)


def test_rules_are_chosen_by_name() -> None:
    assert choose(CleaningOptions(questions=(Question("q", "?"),))).names == list(USUAL)
    assert choose(CleaningOptions(), ["short", "html"]).names == ["html", "short"]
    assert "html" not in choose(CleaningOptions(), without=["html"]).names
    assert "words" in choose(CleaningOptions(words=("x",))).names
