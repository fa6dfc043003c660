"""`fastchat data`: conversations to train on, from the files of others to files one can trust."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.commands.data_distill import DistillSettings, distill
from fastchat.core.actions import Action, run_action
from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, OptionalItems, Settings, setting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from rich.progress import Progress

    from fastchat.data.cleaning.choosing import Chosen, CleaningOptions
    from fastchat.data.cleaning.contamination import Question
    from fastchat.data.cleaning.tally import Tally
    from fastchat.data.records import Conversation

_PAUSE_EVERY = 1000  # conversations between two moments in which Ctrl-C is heard
KNOWN_FORMATS = "sharegpt, messages, oasst, fastchat, battles, alpaca or dolly"
_NONE = "none"
T = TypeVar("T")


class _DataSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_DATA_")


class _SourceSettings(_DataSettings):
    source: Path | None = setting(
        None, "conversations: JSON, JSON lines (also .gz) or Parquet", metavar="IN", positional=True
    )
    format: str | None = setting(None, f"of IN: {KNOWN_FORMATS} (default: its first record tells)", metavar="NAME")


class _TargetSettings(_SourceSettings):
    target: Path | None = setting(None, "file to write: .json or .jsonl, also .gz", metavar="OUT", positional=True)
    to: Literal["sharegpt", "messages"] = setting("sharegpt", "format of OUT: FastChat's, or OpenAI's messages")


class CleanSettings(_TargetSettings):
    report: Path | None = setting(None, "what was found, with examples: a page (.html) or .json", metavar="FILE")
    rules: Items = setting(
        (), "these rules only, instead of the usual ones; `fastchat data rules` lists them", metavar="A,B"
    )
    more: Items = setting((), "these rules, too", "--with", metavar="A,B")
    without: Items = setting((), "not these", metavar="A,B")
    words: Items = setting((), "drop conversations with these words, or those of a file", metavar="A,B|FILE")
    keep_languages: Items = setting((), "drop all others; ISO 639-1, or 'unknown'", metavar="en,de")
    skip_languages: Items = setting((), "drop these", metavar="ko")
    own_names: Items = setting((), "names by which the assistant may call itself, for the rule identity")
    min_chars: NonNegativeInt = setting(16, "shortest conversation", metavar="N")
    personal: Literal["mask", "drop"] = setting("mask", "what to do with personal data")
    phone_regions: Items = setting(("US",), "whose phone numbers count without a country's code", metavar="US,DE")
    toxicity: NonNegativeFloat = setting(0.9, "from which probability a text is toxic", metavar="P")
    alike: NonNegativeFloat = setting(
        0.8, "from which share of common three-word sequences on texts are near duplicates"
    )
    questions: OptionalItems = setting(
        None, "question sets or files that must not be trained on, or 'none' (default: those of `fastchat bench`)"
    )
    workers: PositiveInt = setting(os.cpu_count() or 1, "processes; 1: no other than this", metavar="N")


class RulesSettings(Settings):
    """None."""


class StatsSettings(_SourceSettings):
    model: str | None = setting(
        None, "whose tokenizer counts, by folder, name on the hub or builtin (default: characters)"
    )


class ConvertSettings(_TargetSettings):
    first_round: bool = setting(False, "of each conversation only the first question and answer")
    models: Items = setting((), "only what these models wrote, and what nobody says the model of", metavar="A,B")


class MergeSettings(_DataSettings):
    in_file: tuple[Path, ...] = setting((), "files to put together, in this order", "--in", nargs="+", metavar="FILE")
    out_file: Path | None = setting(None, "file to write", "--out")
    to: Literal["sharegpt", "messages"] = setting("sharegpt", "its format")


class SampleSettings(_TargetSettings):
    count: PositiveInt = setting(100, "how many", metavar="N")
    max_chars: PositiveInt | None = setting(None, "only conversations of at most so many characters", metavar="N")
    seed: NonNegativeInt = setting(42, "the same sample again for the same seed")


class SplitSettings(_TargetSettings):
    model: str | None = setting(None, "whose tokenizer counts, by folder, name on the hub or builtin")
    max_length: PositiveInt = setting(2048, "tokens of a part", metavar="N")


class HoldOutSettings(_SourceSettings):
    train: Path | None = setting(None, "file to write: for training", metavar="TRAIN", positional=True)
    test: Path | None = setting(None, "file to write: held out", metavar="TEST", positional=True)
    share: NonNegativeFloat = setting(0.1, "of the conversations that is held out", metavar="SHARE")
    seed: NonNegativeInt = setting(0, "the same halves again for the same seed")


class InspectSettings(_SourceSettings):
    begin: NonNegativeInt = setting(0, "first conversation, counted from 0", metavar="N")
    count: PositiveInt = setting(3, "how many", metavar="N")
    random: bool = setting(False, "any of them, not those at --begin")


class IdentitySettings(_DataSettings):
    target: Path | None = setting(None, "file to write", metavar="OUT", positional=True)
    name: str = setting("Vicuna", "what the model is called")
    organization: str = setting("Large Model Systems Organization (LMSYS)", "who made it")


def main(argv: Sequence[str] | None = None) -> None:
    arguments = list(sys.argv[1:] if argv is None else argv)
    actions = {
        "clean": Action(CleanSettings, _clean, "make conversations fit to train on, and report what was found"),
        "rules": Action(RulesSettings, _rules, "list the rules of cleaning"),
        "stats": Action(StatsSettings, _stats, "count conversations, rounds and lengths"),
        "convert": Action(ConvertSettings, _convert, "write conversations in another format"),
        "merge": Action(MergeSettings, _merge, "put files together"),
        "sample": Action(SampleSettings, _sample, "take some at random"),
        "split": Action(SplitSettings, _split, "cut long conversations into parts that fit a context"),
        "hold-out": Action(HoldOutSettings, _hold_out, "keep a share for tests, chosen by the first question"),
        "inspect": Action(InspectSettings, _inspect, "show conversations"),
        "distill": Action(DistillSettings, distill, "have a teacher answer prompts or continue conversations"),
        "identity": Action(IdentitySettings, _identity, "write conversations that tell a model its name"),
    }
    run_action("fastchat data", "Conversations to train on.", actions, arguments)


async def _clean(settings: CleanSettings) -> int:
    from fastchat.data.cleaning.choosing import choose
    from fastchat.data.cleaning.report import Report, check_name, write_report
    from fastchat.data.cleaning.stream import clean
    from fastchat.data.cleaning.tally import Reason, Tally
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.writers import conversation_file

    source, target = _source(settings), _target(settings.target, "OUT")
    if settings.report:
        check_name(settings.report)
    options = _options(settings)
    chosen = choose(options, settings.rules, settings.more, settings.without)
    tally = Tally()
    conversations = read_conversations(
        source,
        settings.format,
        lambda place, why: tally.add(Reason("reading", "unreadable", "not of the file's format"), place, why),
    )
    with conversation_file(target, settings.to) as writer, _progress() as progress:
        task = progress.add_task("cleaning", total=None, read=0, written=0)
        for batch in clean(conversations, chosen.rules, chosen.memories, tally=tally, workers=settings.workers):
            for conversation in batch:
                writer.write(conversation)
            progress.update(task, read=tally.read, written=tally.written, completed=tally.chars_read)
            await asyncio.sleep(0)
        if tally.unreadable and not tally.read:
            [example] = next(iter(tally.examples.values()))[:1]
            raise SetupError(f"No record could be read. {example.id}: {example.found}.")
    if settings.report:
        given = settings.model_dump(mode="json", exclude={"source", "target", "report", "workers"})
        write_report(settings.report, Report(source.name, target.name, chosen.names, given, tally))
    _print_result(tally, chosen, target, settings.report)
    return 0


def _options(settings: CleanSettings) -> "CleaningOptions":
    from fastchat.data.cleaning.choosing import CleaningOptions

    return CleaningOptions(
        words=_words(settings.words),
        keep_languages=tuple(map(str.lower, settings.keep_languages)),
        skip_languages=tuple(map(str.lower, settings.skip_languages)),
        min_chars=settings.min_chars,
        personal=settings.personal,
        phone_regions=tuple(region.upper() for region in settings.phone_regions),
        toxicity=settings.toxicity,
        names_itself=names_in,
        own_names=settings.own_names,
        questions=_questions(settings.questions),
        alike=settings.alike,
    )


def names_in(text: str) -> list[str]:
    """The names by which a text calls its writer."""
    from fastchat.arena.identity import names_itself

    return [found.name for found in names_itself(text)]


def _words(given: Sequence[str]) -> Sequence[str]:
    if len(given) == 1 and Path(given[0]).is_file():
        try:
            lines = Path(given[0]).read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            raise SetupError(f"{given[0]} is not text in UTF-8.") from None
        return tuple(line.strip() for line in lines if line.strip())
    return given


def _questions(given: Sequence[str] | None) -> "tuple[Question, ...]":
    from fastchat.data.cleaning.contamination import Question
    from fastchat.llm_judge.questions import read_questions, shipped_sets

    names = shipped_sets() if given is None else [] if tuple(given) == (_NONE,) else given
    return tuple(
        Question(f"{found.name} {question.question_id}", turn)
        for found in map(read_questions, names)
        for question in found.questions
        for turn in question.turns
    )


@contextmanager
def _progress() -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[read]:,} read, {task.fields[written]:,} kept"),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield progress


def _print_result(tally: "Tally", chosen: "Chosen", target: Path, report: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("rule", "changed", "dropped", box=None)
    for name in chosen.names:
        table.add_row(name, f"{tally.changed(name):,}", f"{tally.dropped(name):,}")
    Console().print(table)
    if tally.unreadable:
        where = "the report says why" if report else "--report FILE (.html or .json) says why"
        print(f"{tally.unreadable:,} records could not be read; {where}.")
    print(f"{tally.written:,} of {tally.read:,} conversations are in {target}.")
    if report:
        print(f"What was found: {report}")
    if tally.read and not tally.written:
        print("warning: nothing was kept. The table shows which rule dropped how much.", file=sys.stderr)


async def _rules(settings: RulesSettings) -> int:
    from fastchat.data.cleaning.choosing import KNOWN

    for name, rule in KNOWN.items():
        print(f"{name:<16} {rule.summary}{'' if rule.is_usual else ' (only when asked for)'}")
    return 0


async def _stats(settings: StatsSettings) -> int:
    from fastchat.data.counting import BOUNDS, Statistics, in_characters
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.tokens import load_tokenizer, with_lengths

    conversations = read_conversations(_source(settings), settings.format)
    if settings.model:
        measured = with_lengths(conversations, load_tokenizer(settings.model), with_special=False)
    else:
        measured = in_characters(conversations)
    found = Statistics()
    async for conversation, lengths in _unhurried(measured):
        found.add(conversation, lengths)
    unit = "tokens" if settings.model else "characters"
    print(f"conversations  {found.conversations:,}")
    print(f"rounds         {found.rounds:,}, {found.mean_rounds:.2f} a conversation")
    for role, count in found.roles.most_common():
        print(
            f"{role:<14} {count:,} messages, {found.mean_length(role):,.1f} {unit} each, {found.lengths[role]:,} in all"
        )
    print(f"longest        {found.longest:,} {unit}")
    print(f"\n{unit} of a conversation")
    for lower, upper, count in zip(BOUNDS, [*BOUNDS[1:], None], found.histogram, strict=True):
        print(f"{lower:>8,} – {f'{upper:,}' if upper else 'more':<8} {count:,}")
    return 0


async def _convert(settings: ConvertSettings) -> int:
    from fastchat.data import selecting
    from fastchat.data.readers.conversations import read_conversations

    conversations: Iterable[Conversation] = read_conversations(_source(settings), settings.format)
    if settings.models:
        conversations = selecting.of_model(conversations, settings.models)
    if settings.first_round:
        conversations = selecting.first_rounds(conversations)
    await _write(settings, conversations)
    return 0


async def _merge(settings: MergeSettings) -> int:
    from itertools import chain

    from fastchat.data.readers.conversations import read_conversations

    if not settings.in_file:
        raise SetupError("--in-file is missing: which files are put together?")
    conversations = chain.from_iterable(map(read_conversations, settings.in_file))
    await _write_to(_target(settings.out_file, "--out-file"), settings.to, conversations)
    return 0


async def _sample(settings: SampleSettings) -> int:
    from fastchat.data import selecting
    from fastchat.data.readers.conversations import read_conversations

    conversations: Iterable[Conversation] = read_conversations(_source(settings), settings.format)
    if settings.max_chars:
        conversations = selecting.short_enough(conversations, settings.max_chars)
    await _write(settings, selecting.reservoir(conversations, settings.count, settings.seed))
    return 0


async def _split(settings: SplitSettings) -> int:
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.splitting import split
    from fastchat.data.tokens import load_tokenizer, with_lengths

    if settings.model is None:
        raise SetupError("--model is missing: whose tokens are counted? A folder, a name on the hub, or 'builtin'.")
    tokenizer = load_tokenizer(settings.model)
    measured = with_lengths(read_conversations(_source(settings), settings.format), tokenizer, with_special=True)
    await _write(settings, (part for one, lengths in measured for part in split(one, lengths, settings.max_length)))
    return 0


async def _hold_out(settings: HoldOutSettings) -> int:
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.selecting import is_held_out
    from fastchat.data.writers import conversation_file

    train, test = _target(settings.train, "TRAIN"), _target(settings.test, "TEST")
    if settings.share >= 1:
        raise SetupError(f"--share {settings.share:g}: a share is below 1, as 0.1.")
    if train.resolve() == test.resolve():
        raise SetupError("TRAIN and TEST are the same file.")
    with conversation_file(train) as kept, conversation_file(test) as held_out:
        async for one in _unhurried(read_conversations(_source(settings), settings.format)):
            (held_out if is_held_out(one, settings.share, settings.seed) else kept).write(one)
    print(f"{kept.count:,} conversations are in {train}, {held_out.count:,} in {test}.")
    return 0


async def _inspect(settings: InspectSettings) -> int:
    import random

    from fastchat.data import selecting
    from fastchat.data.readers.conversations import read_conversations

    conversations: Iterable[Conversation] = read_conversations(_source(settings), settings.format)
    if settings.random:
        conversations = selecting.reservoir(conversations, settings.count, random.randrange(2**32))
    else:
        conversations = selecting.part(conversations, settings.begin, settings.begin + settings.count)
    is_any = False
    for one in conversations:
        show(one)
        is_any = True
    if not is_any:
        total = sum(1 for _ in read_conversations(_source(settings), settings.format))
        raise SetupError(
            f"There is nothing to show from --begin {settings.begin} on: {settings.source} has {total:,} "
            "conversations, counted from 0."
        )
    return 0


def show(conversation: "Conversation") -> None:
    """For people, in the terminal."""
    from rich.console import Console
    from rich.rule import Rule
    from rich.text import Text

    from fastchat.data.texts import text_of

    console = Console(highlight=False)
    console.print(Rule(Text(conversation.id), align="left"))
    for message in conversation.messages:
        console.print(Text(f"{message['role']}:", style="bold"))
        console.print(Text(text_of(message)))
        for call in message.get("tool_calls") or ():
            console.print(Text(f"{call['function']['name']}({call['function']['arguments']})", style="italic"))
        console.print()


async def _identity(settings: IdentitySettings) -> int:
    from fastchat.data.identity import identity_conversations

    conversations = identity_conversations(settings.name, settings.organization)
    await _write_to(_target(settings.target, "OUT"), "sharegpt", conversations)
    return 0


async def _write(settings: _TargetSettings, conversations: "Iterable[Conversation]") -> None:
    await _write_to(_target(settings.target, "OUT"), settings.to, conversations)


async def _write_to(
    target: Path, form: Literal["sharegpt", "messages"], conversations: "Iterable[Conversation]"
) -> None:
    from fastchat.data.writers import conversation_file

    with conversation_file(target, form) as writer:
        async for conversation in _unhurried(conversations):
            writer.write(conversation)
    print(f"{writer.count:,} conversations are in {target}.")


async def _unhurried(items: "Iterable[T]") -> "AsyncIterator[T]":
    """With moments in which Ctrl-C is heard."""
    for number, item in enumerate(items):
        yield item
        if number % _PAUSE_EVERY == 0:
            await asyncio.sleep(0)


def _source(settings: _SourceSettings) -> Path:
    return _needed(settings.source, "IN")


def _target(file: Path | None, name: str) -> Path:
    from fastchat.data.writers import check_ending

    target = _needed(file, name)
    check_ending(target)
    return target


def _needed(file: Path | None, name: str) -> Path:
    if file is None:
        raise SetupError(f"{name} is missing: name a file. `--help` shows the order.")
    return file
