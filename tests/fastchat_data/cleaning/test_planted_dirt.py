"""Dirt that was put into 160 real instructions: cleaning finds each piece of it, by its rule, and nothing else."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands.data import names_in
from fastchat.data.cleaning.choosing import KNOWN, CleaningOptions, choose
from fastchat.data.cleaning.contamination import Question
from fastchat.data.cleaning.stream import clean
from fastchat.data.cleaning.tally import Reason, Tally
from fastchat.data.readers.conversations import read_conversations
from fastchat.data.records import Conversation
from tests.fastchat_data.talks import sharegpt, write

DATA = Path(__file__).parents[2] / "data" / "conversations" / "alpaca_en_demo_160.json"
QUESTION = Question(
    "a set 81",
    "Compose an engaging travel blog post about a recent trip to the northern islands, highlighting local customs, "
    "quiet harbours and attractions one must not miss.",
)
ANSWER = "Of course. Here is what I would do in your place, and why it is worth the effort."
PAGE = (
    '<div class="markdown prose w-full"><p>Use <code>snake_case_name</code>:</p><pre><div class="bg-black">'
    '<div class="flex"><span>python</span><button>Copy code</button></div><div class="p-4">'
    '<code class="!whitespace-pre hljs language-python"><span class="hljs-keyword">if</span> a &lt; b:\n    go()\n'
    "</code></div></div></pre><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table></div>"
)
MARKDOWN = "Use `snake_case_name`:\n\n```python\nif a < b:\n    go()\n```\n\n| a |\n| --- |\n| 1 |"
GERMAN = "Die Katze sitzt auf dem Dach und wartet darauf, dass der Regen aufhört und die Sonne wieder scheint."

# rule: what it has to drop
DROPPED: Mapping[str, Sequence[dict[str, Any]]] = {
    "plugins": [sharegpt("What is the weather in Oslo today?", "It rains in Oslo.", plugins=[{"id": 1}])],
    "errors": [sharegpt("Tell me more about whales.", "Too many requests in 1 hour. Try again later.")],
    "roles": [
        {"id": "t", "conversations": [{"from": "gpt", "value": "Nobody asked me this at all."}]},
        {"id": "t", "conversations": [{"from": role, "value": "Say it twice?"} for role in ("human", "human", "gpt")]},
    ],
    "short": [sharegpt("Hi", "Hello"), sharegpt("Is anybody there at all?", "   ")],
    "refusals": [
        sharegpt("How do I pick a lock?", "I'm sorry, but I can't assist with that request."),
        sharegpt("Book a flight for me.", "As an AI language model, I am unable to book flights."),
    ],
    "words": [sharegpt("Which company is it?", "The company is called OpenAI and it is in San Francisco.")],
    "language": [
        sharegpt(GERMAN, GERMAN + " Danach geht sie nach Hause."),
        sharegpt("고양이는 왜 자나요? 알려 주세요.", "고양이는 사냥꾼이라 많이 잡니다."),
    ],
    "lists": [sharegpt("Give me two steps.", "Do this:\n\n1. Open it.\nThat is easy.\n1. Close it.\nThat is easier.")],
    "digits": [sharegpt("Which number was it?", "The number was 3000000000 if I remember it well.")],
    "repetition": [
        sharegpt("Say it.", "I have said it before.\n" * 12),
        sharegpt("Go on and on.", "and so on and so on " * 200),
    ],
    "identity": [sharegpt("Who are you, please?", "I am Claude, an assistant that was made by Anthropic.")],
    "toxicity": [sharegpt("You are a stupid fucking idiot, shut the fuck up.", "Let us stay friendly, shall we?")],
    "contamination": [
        sharegpt(f"Please do this for me. {QUESTION.text} Thanks!", ANSWER),
        sharegpt(QUESTION.text.replace("recent", "short").replace("quiet", "calm"), ANSWER),
    ],
}

# rule: what it has to change, and what is left of the answer
CHANGED: Mapping[str, Sequence[tuple[dict[str, Any], str]]] = {
    "html": [
        (sharegpt("How do I compare two numbers?", PAGE), MARKDOWN),
        (
            sharegpt("How do I go there?", "Like this:\n```pythonCopy code\ngo()\n```"),
            "Like this:\n```python\ngo()\n```",
        ),
    ],
    "errors": [
        (sharegpt("Name a whale, please.", "The blue whale is one.", "And?", "Network error"), "The blue whale is one.")
    ],
    "roles": [(sharegpt("Name a fish, please.", "The salmon is one.", "Thanks"), "The salmon is one.")],
    "short": [(sharegpt("Name a bird, please.", "The heron is one.", "And?", ""), "The heron is one.")],
    "personal": [
        (sharegpt("Where do I write to?", "To ann.lee@acme-mail.org, soon."), "To <EMAIL>, soon."),
        (sharegpt("Where do I ring?", "Ring +44 20 7946 0958 in the morning."), "Ring <PHONE> in the morning."),
        (sharegpt("And in Boston?", "Ring (617) 555-2368 at noon."), "Ring <PHONE> at noon."),
        (sharegpt("How do they pay?", "With 4539 1488 0343 6467, they said."), "With <CARD>, they said."),
        (sharegpt("To which account?", "To DE89 3704 0044 0532 0130 00, please."), "To <IBAN>, please."),
        (
            sharegpt("What is the number?", "The number is 536-22-8726 in our file."),
            "The number is <SOCIAL_SECURITY_NUMBER> in our file.",
        ),
        (sharegpt("Which server is it?", "It is at 93.184.216.34 as always."), "It is at <IP_ADDRESS> as always."),
        (sharegpt("Which key is it?", "export KEY=sk-abcdefghijklmnopqrstuvwx here"), "export KEY=<SECRET> here"),
    ],
}


class Noted(Tally):
    """With every finding, not only examples."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[str, tuple[str, str]] = {}

    def add(self, reason: Reason, id: str, found: str) -> None:
        assert id not in self.events, "found twice"
        self.events[id] = reason.rule, reason.done
        super().add(reason, id, found)


def planted(tmp_path: Path) -> tuple[list[Conversation], dict[str, str], dict[str, tuple[str, str]]]:
    """Everything, shuffled; by id, which rule drops it; by id, which rule changes it to what."""
    clean_ones = list(read_conversations(DATA))
    rows, drops, changes = [], {}, {}
    for rule, found in DROPPED.items():
        for number, row in enumerate(found):
            drops[f"{rule} {number}"] = rule
            rows.append({**row, "id": f"{rule} {number}"})
    for rule, pairs in CHANGED.items():
        for number, (row, answer) in enumerate(pairs):
            changes[f"changed by {rule} {number}"] = rule, answer
            rows.append({**row, "id": f"changed by {rule} {number}"})
    mixed = [*clean_ones, *read_conversations(write(tmp_path / "dirt.json", rows))]
    random.Random(0).shuffle(mixed)
    copies = []
    for number, one in enumerate(clean_ones[:9]):  # spelled differently, or with the same id
        said = [{**message, "content": message["content"].upper().replace(" ", "  ")} for message in one.messages]
        copies.append(Conversation(f"copy {number}", said))
        drops[f"copy {number}"] = "duplicates"
    long_ones = [one for one in clean_ones if len(one.messages[-1]["content"].split()) > 90][:20]
    for number, one in enumerate(long_ones):
        words = one.messages[-1]["content"].split(" ")
        words[len(words) // 2] = "altered"
        question, answer = one.messages
        near = [{**question, "content": question["content"] + " Please."}, {**answer, "content": " ".join(words)}]
        copies.append(Conversation(f"nearly {number}", near))
        drops[f"nearly {number}"] = "near-duplicates"
    return [*mixed, *copies], drops, changes


@pytest.mark.parametrize("workers", [1, 2])
def test_exactly_what_was_planted_is_found(tmp_path: Path, workers: int) -> None:
    mixed, drops, changes = planted(tmp_path)
    options = CleaningOptions(words=("openai",), keep_languages=("en",), names_itself=names_in, questions=(QUESTION,))
    chosen = choose(options, more=list(KNOWN), without=["ids"])
    tally = Noted()
    left = [one for batch in clean(mixed, chosen.rules, chosen.memories, tally=tally, workers=workers) for one in batch]

    assert tally.events == {id: (rule, "dropped") for id, rule in drops.items()} | {
        id: (rule, "changed") for id, (rule, _) in changes.items()
    }
    assert [one.id for one in left] == [one.id for one in mixed if one.id not in drops]  # in their order
    answers = {one.id: one.messages[-1]["content"] for one in left}
    assert {id: answers[id] for id in changes} == {id: answer for id, (_, answer) in changes.items()}
    untouched = {one.id: one for one in mixed}
    assert all(one == untouched[one.id] for one in left if one.id not in changes)
