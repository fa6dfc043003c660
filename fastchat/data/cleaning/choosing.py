"""Which rules are applied: by their names, in the one order that makes sense."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.data.cleaning.contamination import Contamination, Question
from fastchat.data.cleaning.contents import (
    BlockedWords,
    Identity,
    Language,
    Plugins,
    RepeatedDigits,
    RepeatedText,
    Toxicity,
    WrongLists,
)
from fastchat.data.cleaning.duplicates import Duplicates, NearDuplicates, SameId
from fastchat.data.cleaning.html import HtmlToMarkdown
from fastchat.data.cleaning.personal import PersonalData
from fastchat.data.cleaning.rules import Memory, Rule
from fastchat.data.cleaning.shape import Errors, Refusals, Roles, Short


@dataclass(frozen=True, slots=True)
class CleaningOptions:
    words: Sequence[str] = ()
    keep_languages: Sequence[str] = ()
    skip_languages: Sequence[str] = ()
    min_chars: int = 16
    personal: Literal["mask", "drop"] = "mask"
    phone_regions: Sequence[str] = ("US",)
    toxicity: float = 0.9
    names_itself: Callable[[str], Sequence[str]] | None = None
    own_names: Sequence[str] = ()
    questions: tuple[Question, ...] = ()
    alike: float = 0.8


class Chosen(NamedTuple):
    rules: Sequence[Rule]
    memories: Sequence[Memory]

    @property
    def names(self) -> list[str]:
        return [*(rule.name for rule in self.rules), *(memory.name for memory in self.memories)]


class Known(NamedTuple):
    summary: str
    make: Callable[[CleaningOptions], Rule] | None = None
    remember: Callable[[CleaningOptions], Memory] | None = None
    is_usual: bool = True


def _identity(options: CleaningOptions) -> Rule:
    if options.names_itself is None:
        raise SetupError("The rule 'identity' needs to be told what a name is.")
    return Identity(options.names_itself, options.own_names)


KNOWN: Mapping[str, Known] = {
    "plugins": Known("drop chats with plugins", lambda options: Plugins(), is_usual=False),
    "html": Known("make Markdown of saved web pages", lambda options: HtmlToMarkdown()),
    "errors": Known("cut off before an answer that is an error", lambda options: Errors()),
    "roles": Known("cut off ends without their other side; drop who speaks twice", lambda options: Roles()),
    "short": Known("cut off before an empty message; drop what says nothing", lambda options: Short(options.min_chars)),
    "refusals": Known("drop refused answers", lambda options: Refusals()),
    "words": Known("drop blocked words", lambda options: BlockedWords(options.words), is_usual=False),
    "language": Known(
        "drop other languages", lambda options: Language(options.keep_languages, options.skip_languages), is_usual=False
    ),
    "lists": Known("drop lists that count 1. 1.", lambda options: WrongLists()),
    "digits": Known("drop nine equal digits", lambda options: RepeatedDigits(), is_usual=False),
    "repetition": Known("drop answers that turn in circles", lambda options: RepeatedText()),
    "identity": Known("drop assistants that say they are somebody else", _identity, is_usual=False),
    "toxicity": Known("drop English profanity", lambda options: Toxicity(options.toxicity), is_usual=False),
    "contamination": Known("drop questions of benchmarks", lambda options: Contamination(options.questions)),
    "personal": Known("mask personal data", lambda options: PersonalData(options.personal, options.phone_regions)),
    "ids": Known("drop the same id again", remember=lambda options: SameId(), is_usual=False),
    "duplicates": Known("drop the same text again", remember=lambda options: Duplicates()),
    "near-duplicates": Known("drop nearly the same text", remember=lambda options: NearDuplicates(options.alike)),
}
USUAL = tuple(name for name, known in KNOWN.items() if known.is_usual)


def choose(
    options: CleaningOptions, only: Sequence[str] = (), more: Sequence[str] = (), without: Sequence[str] = ()
) -> Chosen:
    """The usual rules, or `only` those; and `more`, but not those `without`.

    Raises:
        SetupError: there is no such rule, or one lacks what it needs.
    """
    for name in (*only, *more, *without):
        if name not in KNOWN:
            raise SetupError(f"There is no rule {name!r}. Known: {', '.join(KNOWN)}.")
    wanted = ({*only} or {*USUAL}) | {*more}
    if options.words:
        wanted.add("words")
    if options.keep_languages or options.skip_languages:
        wanted.add("language")
    wanted -= {*without}
    if "words" in wanted and not options.words:
        raise SetupError("The rule 'words' needs words: --words A,B or a file of them.")
    if "language" in wanted and not (options.keep_languages or options.skip_languages):
        raise SetupError("The rule 'language' needs --keep-languages or --skip-languages, as in en,de.")
    if not options.questions:
        wanted.discard("contamination")
    chosen = [known for name, known in KNOWN.items() if name in wanted]
    return Chosen(
        [known.make(options) for known in chosen if known.make],
        [known.remember(options) for known in chosen if known.remember],
    )
