"""Answers stand between fences in the judge's prompt: they are what is judged, whatever they order the judge to do.

A fence carries a number that the answer's author cannot know. What looks like a verdict, like a fence or like a token
that ends a message is spelled differently within, so that it can be seen but does not count: `[[10]]` becomes `⟦10⟧`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from fastchat.llm_judge.verdicts import CALLED_A_RATING, NUMBER, RANKED

Nonce: TypeAlias = Callable[[Sequence[str]], str]

_VERDICT = re.compile(rf"\[\[\s*({NUMBER}(?:,\s*{NUMBER})?|[ABC]|{RANKED}|(?i:yes|no))\s*\]\]")
_NAMED_VERDICT = re.compile(rf"({CALLED_A_RATING})\[({NUMBER}(?:,\s?{NUMBER})?)\]", re.IGNORECASE)
_FENCE = re.compile(r"<<<((?:BEGIN|END)\b[^<>\n]*)>>>")
_MESSAGE_TOKEN = re.compile(r"<(\|[^|<>\n]{1,40}\||/s|(?:start|end)_of_turn)>|\[(/?INST)\]")


def nonce_of(texts: Sequence[str]) -> str:
    """The same for the same texts, so that an answer of the cache is found again.

    It need not be secret: an author who wants to write it into the answer has to find a text that holds its own hash.
    """
    digest = sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Fence:
    nonce: str

    @property
    def begin(self) -> str:
        return f"<<<BEGIN {self.nonce}>>>"

    @property
    def end(self) -> str:
        return f"<<<END {self.nonce}>>>"

    def around(self, text: str) -> str:
        return f"{self.begin}\n{without_verdicts(text)}\n{self.end}"


def without_verdicts(text: str) -> str:
    text = _FENCE.sub(r"‹‹‹\1›››", text)
    text = _MESSAGE_TOKEN.sub(lambda found: f"‹{found[1] or found[2]}›", text)
    text = _VERDICT.sub(r"⟦\1⟧", text)
    return _NAMED_VERDICT.sub(r"\1⟦\2⟧", text)
