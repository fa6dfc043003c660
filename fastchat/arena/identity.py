"""Does an answer say which model wrote it, and does a question ask for that?

Only what somebody says of themselves counts: "I am …", "as an AI trained by …", in eight languages (`identities.toml`).
FastChat looked for 33 words anywhere, so every battle about Google or a llama was dropped. Stories in the first person
are taken for the model's own words; a battle is only marked, so that costs little.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from fastchat.arena.folding import fold
from fastchat.arena.model_names import alternatives, families, identities, parts

# Stands for any name, so that how one speaks of oneself is compiled once and not again for every set of models.
_NAME = "\ue000"
_DECORATION = re.compile(r"[*_`\"“”„«»‹›「」『』()\[\]<>#\ue000]")
# No opening mark inside: else each of many that nothing closes would have the whole text searched for its end.
_QUOTED = re.compile(r"\"[^\"]*\"|“[^“”]*”|«[^«»]*»|„[^„“”]*[“”]|「[^「」]*」|『[^『』]*』")
_ARTICLE = re.compile(r"\b(?:an?|the|eine?|der|die|das|une?|una|el|la|le|uma?|os?)\s*$")
_KIND = re.compile(r"[\s-]*(?:\d|model|modell|modelo|modèle|ai\b|ki\b|ia\b|llm|assistant|chatbot|bot\b|family|series)")
_MOST_FILLERS = 16
_LONGEST_NAME_BEFORE = 20  # an article and blanks
_UNSPACED_LANGUAGES = ("zh", "ja")


class SelfNaming(NamedTuple):
    name: str  # as it was written, folded
    phrase: str  # from "I am" to the name


@dataclass(frozen=True, slots=True)
class _Speech:
    """How one speaks of oneself, and asks others who they are."""

    claims: tuple[re.Pattern[str], ...]
    questions: tuple[re.Pattern[str], ...]


class _Names(NamedTuple):
    any: re.Pattern[str]
    everyday: re.Pattern[str]


def names_itself(text: str, models: Sequence[str] = ()) -> list[SelfNaming]:
    """Where the writer says who it is or who made it; `models` are the names served here."""
    names = _names(tuple(sorted(models)))
    plain, told = _without_names(text, names)
    found: dict[SelfNaming, None] = {}
    for claim in _speech().claims if told else ():
        for match in claim.finditer(plain):
            at = match.start("name")
            name = told[plain.count(_NAME, 0, at)]
            if not (names.everyday.fullmatch(name) and _is_everyday_word(plain, at)):
                found.setdefault(SelfNaming(name, match[0][: at - match.start()] + name))
    return list(found)


def asks_for_identity(text: str, models: Sequence[str] = ()) -> bool:
    """Whether a question wants to know who answers. What stands in quotation marks is not asked."""
    plain, _ = _without_names(_QUOTED.sub(" ", text), _names(tuple(sorted(models))))
    return any(question.search(plain) for question in _speech().questions)


def _without_names(text: str, names: _Names) -> tuple[str, list[str]]:
    """The text as it is searched, and the names that stood where the marks stand."""
    plain = " ".join(_DECORATION.sub(" ", fold(text).replace("’", "'")).split())
    return names.any.sub(_NAME, plain), [match[0] for match in names.any.finditer(plain)]


def _is_everyday_word(plain: str, at: int) -> bool:
    """A llama, or a Gemini by birth: an article stands before the word and nothing behind it makes it a model."""
    before = plain[max(0, at - _LONGEST_NAME_BEFORE) : at]
    return bool(_ARTICLE.search(before)) and not _KIND.match(plain, at + 1)


@lru_cache(maxsize=32)  # the served models change seldom
def _names(models: tuple[str, ...]) -> _Names:
    everyday = {name for family in families() if family.everyday for name in family.names}
    everyday.update(part for model in models for part in parts(model))
    certain = {*models}
    mistakable = []
    for family in families():
        if family.unless_followed_by:
            others = "|".join(map(re.escape, family.unless_followed_by))
            mistakable.append(f"(?:{alternatives(family.names + family.makers)})(?! (?:{others}))")
        else:
            certain.update(family.names + family.makers)
    return _Names(
        re.compile("|".join([alternatives(certain | everyday), *mistakable])), re.compile(alternatives(everyday))
    )


@cache
def _speech() -> _Speech:
    claims: list[str] = []
    questions: list[str] = []
    for code, language in identities()["language"].items():
        claims.append(_claim(language, is_spaced=code not in _UNSPACED_LANGUAGES))
        claims += [sentence.replace("{name}", f"(?P<name>{_NAME})") for sentence in language["sentences"]]
        questions += [question.replace("{name}", _NAME) for question in language["asks"]]
    return _Speech(tuple(map(re.compile, claims)), tuple(map(re.compile, questions)))


def _claim(language: Mapping[str, Sequence[str]], *, is_spaced: bool) -> str:
    # Words end where no letter follows; an apostrophe ends one, too ("d'OpenAI").
    start, end, gap = r"(?<![^\W_])", r"(?:(?![^\W_])|(?<='))", r"(?:[\s,:–—-]+|(?<='))"
    if not is_spaced:
        start, end, gap = "", "", r"[\s,:，：、–—-]*"
    fillers = f"(?:(?:{_any(language['fillers'])}){end}{gap}){{0,{_MOST_FILLERS}}}?"
    claim = f"{start}(?:{_any(language['openers'])}){end}{gap}{fillers}(?P<name>{_NAME})"
    if "followed" in language:
        claim += f"(?={'|'.join(language['followed'])})"
    if "not_followed" in language:
        claim += f"(?!{'|'.join(language['not_followed'])})"
    return claim.replace("{name}", _NAME)


def _any(expressions: Sequence[str]) -> str:
    """The longest first, so that none is hidden behind its own beginning."""
    return "|".join(sorted(expressions, key=len, reverse=True))
