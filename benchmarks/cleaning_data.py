"""Conversations as ShareGPT's extension saved them, HTML and all, with dirt and duplicates of which we know where.

The id tells what a conversation is: `s17` is its own, `s17-copy` says the same, `s17-near` nearly (2 % of the words are
others), `s17-half` shares half of each message and has to stay; `s18-blocked` and `s19-twice` have to go.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from benchmarks.training_data import Prose, rounds_of, sentences

COPY, NEAR, HALF, BLOCKED, TWICE = "copy", "near", "half", "blocked", "twice"
SHARES = {COPY: 0.03, NEAR: 0.05, HALF: 0.02, BLOCKED: 0.01, TWICE: 0.01}  # of the conversations
_OTHER_WORDS = 0.02
_FEWEST_WORDS = 100  # of what is copied
_BEHIND = 500  # conversations between an original and its copy, at most
_BLOCK = 60  # words

Words: TypeAlias = Sequence[list[str]]  # of each message


class Said(NamedTuple):
    id: str
    words: Words


def write_pages(file: Path, count: int, seed: int = 0) -> None:
    """A JSON list, as FastChat reads it."""
    with file.open("w") as stream:
        stream.write("[")
        for number, row in enumerate(_rows(count, np.random.default_rng(seed))):
            stream.write(",\n" if number else "\n")
            json.dump(row, stream)
        stream.write("\n]\n")


def kind_of(conversation_id: str) -> str:
    return conversation_id.partition("-")[2]


def _rows(count: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    prose = Prose(rng)
    kinds = rng.choice([*SHARES, ""], count, p=[*SHARES.values(), 1 - sum(SHARES.values())])
    originals: deque[Said] = deque(maxlen=_BEHIND)
    for number, kind in enumerate(kinds.tolist()):
        if kind in (COPY, NEAR, HALF) and originals:
            place = int(rng.integers(len(originals)))
            original = originals[place]
            del originals[place]  # so that each has one copy
            yield _row(f"{original.id}-{kind}", _like(original.words, kind, prose, rng))
            continue
        words = [prose.words(tokens) for turn in rounds_of(rng) for tokens in turn]
        if kind == BLOCKED:
            words[-1].append("ChatGPT")
        elif kind == TWICE:
            words.insert(1, prose.words(20))
        elif sum(map(len, words)) >= _FEWEST_WORDS:
            originals.append(Said(f"s{number}", words))
        name = f"s{number}-{kind}" if kind in (BLOCKED, TWICE) else f"s{number}"
        yield _row(name, words, twice=kind == TWICE)


def _like(words: Words, kind: str, prose: Prose, rng: np.random.Generator) -> Words:
    if kind == COPY:
        return words
    changed = [list(message) for message in words]
    if kind == HALF:
        return [message[: len(message) // 2] + prose.words(len(message)) for message in changed]
    sizes = np.cumsum([len(message) for message in changed])
    for place in rng.choice(int(sizes[-1]), max(1, int(_OTHER_WORDS * sizes[-1])), replace=False):
        message = int(np.searchsorted(sizes, place, side="right"))
        changed[message][int(place) - int(sizes[message])] = f"other{place}"
    return changed


def _row(name: str, words: Words, *, twice: bool = False) -> dict[str, Any]:
    """Of `twice`, the second message is the same side's as the first."""
    said = []
    for at, message in enumerate(words):
        is_asked = (at - (twice and at > 0)) % 2 == 0
        value = sentences(message) if is_asked else page(message)
        said.append({"from": "human" if is_asked else "gpt", "value": value})
    return {"id": name, "conversations": said}


def page(words: list[str]) -> str:
    """An answer as ChatGPT's page of 2023 showed it: paragraphs, lists, code with its header, tables."""
    blocks = [words[at : at + _BLOCK] for at in range(0, len(words), _BLOCK)]
    shapes = (_paragraph, _code, _paragraph, _list, _paragraph, _table)
    inside = "".join(shapes[(len(words) + at) % len(shapes)](block) for at, block in enumerate(blocks))
    return f'<div class="markdown prose w-full break-words dark:prose-invert light">{inside}</div>'


def _paragraph(words: list[str]) -> str:
    return f"<p>{sentences(words[:-2])} <strong>{' '.join(words[-2:])}</strong> &amp; so on.</p>"


def _code(words: list[str]) -> str:
    lines = [f"{words[at]} = call({', '.join(words[at + 1 : at + 6])})  # <> &" for at in range(0, len(words), 6)]
    header = (
        '<div class="flex items-center text-xs"><span class="">python</span><button class="flex ml-auto gap-2">'
        '<svg stroke="currentColor" viewBox="0 0 24 24"><path d="M16 4h2"></path></svg>Copy code</button></div>'
    )
    code = escape("\n".join(lines), quote=False)
    return (
        f'<pre><div class="bg-black mb-4 rounded-md">{header}<div class="p-4 overflow-y-auto"><code class="!whitespace'
        f'-pre hljs language-python">{code}\n</code></div></div></pre>'
    )


def _list(words: list[str]) -> str:
    items = "".join(f"<li><p>{' '.join(words[at : at + 15])}</p></li>" for at in range(0, len(words), 15))
    return f"<ol>{items}</ol>"


def _table(words: list[str]) -> str:
    rows = [words[at : at + 4] for at in range(0, len(words), 4)]
    head = "".join(f"<th>{word}</th>" for word in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{word}</td>' for word in row)}</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
