"""FastChat's own commands on ShareGPT files, `python3 -m fastchat.data.NAME`: its flags, files and printouts.

They call what `fastchat data` calls. Where FastChat lost or spoiled data they differ; docs/data.md says where.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.actions import Action, run_action
from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.data.cleaning.rules import Memory, Rule
    from fastchat.data.cleaning.tally import Tally
    from fastchat.data.records import Conversation

_MODEL = "meta-llama/Llama-2-7b-chat-hf"
_BLOCKED = ("openai", "chatgpt")
_SHORT_NAMES = {"4096": "4k", "8192": "8k", "16384": "16k"}


class _InSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_DATA_")

    in_file: Path | None = setting(None, "conversations in ShareGPT's format", metavar="FILE")

    @property
    def source(self) -> Path:
        if self.in_file is None:
            raise SetupError("--in-file is missing: which file is read?")
        return self.in_file.expanduser()


class _InOutSettings(_InSettings):
    out_file: Path | None = setting(None, "file to write", metavar="FILE")

    def target(self, default: str | None = None) -> Path:
        if self.out_file is None and default is None:
            raise SetupError("--out-file is missing: which file is written?")
        return (self.out_file or Path(default or "")).expanduser()


class _PartSettings(_InOutSettings):
    begin: NonNegativeInt | None = setting(None, "first conversation, counted from 0", metavar="N")
    end: NonNegativeInt | None = setting(None, "the one before which to stop", metavar="N")


class CleanSettings(_PartSettings):
    without_effect: ClassVar = {"--debug": "`fastchat data clean --report` shows what was found."}


class OptionalCleanSettings(_InOutSettings):
    keep_lang: Literal["all", "en"] = setting("all", "keep only this language")
    skip_lang: str | None = setting(None, "drop this language")
    reduce_rep: bool = setting(False, "drop conversations with nine equal digits in a row")


class SplitLongSettings(_PartSettings):
    model_name_or_path: str | None = setting(None, "whose tokenizer counts", metavar="MODEL")
    max_length: PositiveInt = setting(2048, "tokens of a part", metavar="N")


class SplitTrainTestSettings(_InSettings):
    ratio: float = setting(0.9, "share of the conversations for training")

    without_effect: ClassVar = {
        "--begin": "FastChat split the whole file, too.",
        "--end": "FastChat split the whole file, too.",
    }


class MergeSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_DATA_")

    in_file: tuple[Path, ...] = setting((), "files to put together", nargs="+", metavar="FILE")
    out_file: Path = setting(Path("merged.json"), "file to write", metavar="FILE")


class SampleSettings(_InOutSettings):
    begin: NonNegativeInt = setting(0, "first of the shuffled conversations", metavar="N")
    end: NonNegativeInt = setting(100, "the one before which to stop", metavar="N")
    max_length: NonNegativeInt = setting(1024, "leave out conversations with more characters", metavar="N")
    keep_order: bool = setting(False, "do not shuffle")


class ModelSettings(_InOutSettings):
    model_name_or_path: str | None = setting(None, "whose tokens are meant", metavar="MODEL")


class StatsSettings(_InSettings):
    model_name_or_path: str = setting(_MODEL, "whose tokenizer counts", metavar="MODEL")


class InspectSettings(_InSettings):
    begin: NonNegativeInt | None = setting(None, "first conversation, counted from 0", metavar="N")
    random_n: PositiveInt | None = setting(None, "so many at random", metavar="N")


class HardcodedSettings(Settings):
    """FastChat's had no flags."""


class PrepareSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_DATA_")

    prefix: str = setting("~/datasets/sharegpt_20230521", "beginning of the names of all files; reads PREFIX_html.json")
    model_name_or_path: str = setting(_MODEL, "whose tokenizer counts", metavar="MODEL")
    seq_len: PositiveInt = setting(4096, "tokens of a part", metavar="N")

    @property
    def source(self) -> str:
        return str(Path(self.prefix).expanduser())


def main(argv: Sequence[str] | None = None) -> None:
    name, *arguments = list(sys.argv[1:] if argv is None else argv)
    actions = {
        "clean_sharegpt": Action(CleanSettings, _clean, "make ShareGPT's pages Markdown and drop what is broken"),
        "optional_clean": Action(OptionalCleanSettings, _optional_clean, "drop languages, or digits that repeat"),
        "split_long_conversation": Action(SplitLongSettings, _split_long, "cut conversations into parts that fit"),
        "filter_wrong_format": Action(_InOutSettings, _filter_wrong_format, "drop lists that count 1. 1."),
        "convert_alpaca": Action(_InOutSettings, _convert_alpaca, "make conversations of Alpaca's instructions"),
        "extract_gpt4_only": Action(_PartSettings, _gpt4_only, "keep what GPT-4 wrote, or nobody says by whom"),
        "extract_single_round": Action(_PartSettings, _single_round, "keep the first round of each conversation"),
        "get_stats": Action(StatsSettings, _get_stats, "count conversations, tokens and turns"),
        "inspect_data": Action(InspectSettings, _inspect, "show conversations, one message after the other"),
        "merge": Action(MergeSettings, _merge, "put files together"),
        "sample": Action(SampleSettings, _sample, "take some conversations"),
        "split_train_test": Action(SplitTrainTestSettings, _split_train_test, "make a file to train and one to test"),
        "pretty_json": Action(_InOutSettings, _pretty_json, "indent a JSON file"),
        "hardcoded_questions": Action(HardcodedSettings, _hardcoded, "write conversations that tell Vicuna its name"),
        "optional_replace": Action(ModelSettings, _optional_replace, "break a model's control tokens in texts"),
        "prepare_all": Action(PrepareSettings, _prepare_all, "do all steps, as for Vicuna"),
    }
    run_action("python3 -m fastchat.data", actions[name].summary, {name: actions[name]}, [name, *arguments])


async def _clean(settings: CleanSettings) -> int:
    from fastchat.data.cleaning.contents import BlockedWords, Plugins
    from fastchat.data.cleaning.duplicates import Duplicates, SameId
    from fastchat.data.cleaning.html import HtmlToMarkdown
    from fastchat.data.cleaning.shape import Roles, Short

    rules: list[Rule] = [HtmlToMarkdown(), Roles(), Short(), BlockedWords(_BLOCKED), Plugins()]
    tally = _filtered(
        settings, settings.target("sharegpt_clean.json"), rules, [SameId(), Duplicates(first_messages=2)], tell=_skipped
    )
    wrong = tally.dropped("roles", "the same side speaks twice")
    print(
        f"total: {tally.read}, skip: {tally.read - tally.written}, new: {tally.written}, "
        f"cnt_blocked_words: {tally.dropped('words')}, cnt_parser_error: 0, cnt_wrong_format: {wrong}, "
        f"cnt_too_short: {tally.dropped('short') + tally.dropped('roles') - wrong}, "
        f"cnt_id_duplication: {tally.dropped('ids')}, cnt_value_duplication: {tally.dropped('duplicates')}, "
        f"cnt_plugin: {tally.dropped('plugins')}"
    )
    return 0


def _skipped(rule: str, id: str) -> None:
    print(f"id {id} {_SKIPPED.get(rule, '')}".rstrip())


_SKIPPED = {
    "roles": "has a wrong format",
    "short": "is too short",
    "words": "contains blocked words",
    "plugins": "contains plugin",
    "ids": "is an id duplication",
    "duplicates": "is a value duplication",
}


async def _optional_clean(settings: OptionalCleanSettings) -> int:
    from fastchat.data.cleaning.contents import Language, RepeatedDigits

    if settings.keep_lang != "all" and settings.skip_lang is not None:
        raise SetupError("--keep-lang and --skip-lang exclude each other.")
    name = "sharegpt_clean"
    rules: list[Rule] = []
    if settings.keep_lang != "all":
        rules.append(Language(keep=(settings.keep_lang,)))
        name += f"_{settings.keep_lang}"
    if settings.skip_lang is not None:
        rules.append(Language(skip=(settings.skip_lang,)))
        name += f"_skip_{settings.skip_lang}"
    if settings.reduce_rep:
        rules.append(RepeatedDigits())
        name += "_reduce_rep"
    _told(_filtered(settings, settings.target(f"{name}.json"), rules))
    return 0


async def _filter_wrong_format(settings: _InOutSettings) -> int:
    from fastchat.data.cleaning.contents import WrongLists

    told = _filtered(
        settings, settings.target(), [WrongLists()], tell=lambda _, id: print(f"{id} contains a wrong format.")
    )
    _told(told)
    return 0


def _filtered(
    settings: _InOutSettings,
    target: Path,
    rules: "Sequence[Rule]",
    memories: "Sequence[Memory]" = (),
    tell: Callable[[str, str], None] | None = None,
) -> "Tally":
    from fastchat.data.cleaning.stream import clean
    from fastchat.data.cleaning.tally import Reason, Tally
    from fastchat.data.writers import write_conversations

    class Told(Tally):
        def add(self, reason: Reason, id: str, found: str) -> None:
            super().add(reason, id, found)
            if tell and reason.done == "dropped":
                tell(reason.rule, id)

    tally = Told()
    batches = clean(_read(settings), rules, memories, tally=tally, workers=os.cpu_count() or 1)
    write_conversations(target, chain.from_iterable(batches))
    return tally


async def _split_long(settings: SplitLongSettings) -> int:
    from fastchat.data.cleaning.rules import Dropped
    from fastchat.data.cleaning.shape import Roles
    from fastchat.data.splitting import split
    from fastchat.data.tokens import load_tokenizer, with_lengths
    from fastchat.data.writers import write_conversations

    if settings.model_name_or_path is None:
        raise SetupError("--model-name-or-path is missing: whose tokens are counted?")
    tokenizer = load_tokenizer(settings.model_name_or_path)
    count = 0

    def parts() -> "Iterator[Conversation]":
        nonlocal count
        for one, lengths in with_lengths(_read(settings), tokenizer, with_special=True):
            count += 1
            for part in split(one, lengths, settings.max_length):
                ends = Roles().apply(part)
                if ends is None:
                    yield part
                elif not isinstance(ends, Dropped):
                    yield ends.conversation

    written = write_conversations(settings.target("sharegpt_split.json"), parts())
    print(f"#in: {count}, #out: {written}")
    return 0


async def _convert_alpaca(settings: _InOutSettings) -> int:
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.writers import write_conversations

    print(f"#out: {write_conversations(settings.target(), read_conversations(settings.source, 'alpaca'))}")
    return 0


async def _gpt4_only(settings: _PartSettings) -> int:
    from fastchat.data.selecting import of_model

    _rewritten(settings, lambda conversations: of_model(conversations, ("gpt4",)), "_gpt4.json")
    return 0


async def _single_round(settings: _PartSettings) -> int:
    from fastchat.data.selecting import first_rounds

    _rewritten(settings, first_rounds, "_single.json")
    return 0


def _rewritten(
    settings: _InOutSettings, change: "Callable[[Iterable[Conversation]], Iterable[Conversation]]", ending: str
) -> None:
    from fastchat.data.writers import write_conversations

    count = 0

    def counted() -> "Iterator[Conversation]":
        nonlocal count
        for one in _read(settings):
            count += 1
            yield one

    written = write_conversations(settings.target(_beside(settings.source, ending)), change(counted()))
    print(f"#in: {count}, #out: {written}")


async def _get_stats(settings: StatsSettings) -> int:
    from fastchat.data.counting import BOUNDS, Statistics
    from fastchat.data.tokens import load_tokenizer, with_lengths

    found = Statistics()
    tokenizer = load_tokenizer(settings.model_name_or_path)
    for one, lengths in with_lengths(_read(settings), tokenizer, with_special=False):
        found.add(one, lengths)
    print(f"#sequence: {found.conversations / 1e3:.2f} K")
    print(f"#tokens: {found.lengths.total() / 1e6:.2f} M")
    print(f"avg. turns: {found.mean_rounds:.2f}")
    print(f"avg. prompt length: {found.mean_length('user'):.2f}")
    print(f"avg. response length: {found.mean_length('assistant'):.2f}")
    print("\n- Histogram -")
    for lower, upper, count in zip(BOUNDS, BOUNDS[1:], found.histogram, strict=False):
        print(f"L{lower} - {upper}: {count}")
    if longer := found.histogram[-1]:
        print(f"L{BOUNDS[-1]} and more: {longer}")
    return 0


async def _inspect(settings: InspectSettings) -> int:
    import random

    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.selecting import reservoir
    from fastchat.data.texts import text_of
    from fastchat.data.writers import sharegpt

    conversations: Iterable[tuple[int, Conversation]] = enumerate(read_conversations(settings.source))
    if settings.random_n:
        numbered = reservoir(read_conversations(settings.source), settings.random_n, random.randrange(2**32))
        conversations = enumerate(numbered)
    for number, one in conversations:
        if number < (settings.begin or 0):
            continue
        print("=" * 40)
        print(f"no: {number}, id: {one.id}")
        for message, said in zip(one.messages, sharegpt(one)["conversations"], strict=False):
            print(f"{said['from']}: ")
            print(text_of(message))
            _wait()
    return 0


def _wait() -> None:
    """For somebody who reads along to press Enter."""
    if sys.stdin.isatty():
        input()


async def _merge(settings: MergeSettings) -> int:
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.writers import write_conversations

    if not settings.in_file:
        raise SetupError("--in-file is missing: which files are put together?")
    conversations = chain.from_iterable(read_conversations(file.expanduser()) for file in settings.in_file)
    print(f"#out: {write_conversations(settings.out_file.expanduser(), conversations)}")
    return 0


async def _sample(settings: SampleSettings) -> int:
    from fastchat.data.selecting import short_enough
    from fastchat.data.writers import write_conversations

    total = sum(1 for _ in _read(settings))
    order = list(range(total)) if settings.keep_order else _shuffled(total)
    wanted = {number: place for place, number in enumerate(order[settings.begin : settings.end])}
    chosen = {wanted[number]: one for number, one in enumerate(_read(settings)) if number in wanted}
    kept = short_enough((chosen[place] for place in sorted(chosen)), settings.max_length)
    print(f"#in: {total}, #out: {write_conversations(settings.target('sampled.json'), kept)}")
    return 0


def _shuffled(total: int) -> list[int]:
    """As FastChat's seed shuffled a list of so many."""
    import numpy as np

    order = list(range(total))
    np.random.RandomState(42).shuffle(order)
    return order


async def _split_train_test(settings: SplitTrainTestSettings) -> int:
    import numpy as np

    from fastchat.data.writers import write_conversations

    if not 0 <= settings.ratio <= 1:
        raise SetupError(f"--ratio {settings.ratio:g}: is a share, between 0 and 1.")
    content = list(_read(settings))
    order = np.random.RandomState(0).permutation(len(content))
    split = int(settings.ratio * len(content))
    print(f"#train: {split}, #test: {len(content) - split}")
    for ending, numbers in (("_train.json", order[:split]), ("_test.json", order[split:])):
        write_conversations(Path(_beside(settings.source, ending)), (content[number] for number in numbers))
    return 0


async def _pretty_json(settings: _InOutSettings) -> int:
    target = settings.target()
    try:
        value = json.loads(settings.source.read_bytes())
    except ValueError as error:
        raise SetupError(f"{settings.source} is not JSON: {error}.") from None
    write_output(target, json.dumps(value, indent=2, ensure_ascii=False).encode())
    return 0


async def _hardcoded(settings: HardcodedSettings) -> int:
    from fastchat.data.identity import identity_conversations
    from fastchat.data.writers import write_conversations

    write_conversations(
        Path("hardcoded.json"), identity_conversations("Vicuna", "Large Model Systems Organization (LMSYS)")
    )
    return 0


async def _optional_replace(settings: ModelSettings) -> int:
    from fastchat.data.special_tokens import without_special_tokens
    from fastchat.data.tokens import load_tokenizer
    from fastchat.data.writers import write_conversations

    if settings.model_name_or_path is None:
        raise SetupError("--model-name-or-path is missing: whose control tokens are broken?")
    special = load_tokenizer(settings.model_name_or_path).special
    conversations = (without_special_tokens(one, special) for one in _read(settings))
    write_conversations(settings.target(f"{settings.source}_replace.json"), conversations)
    return 0


async def _prepare_all(settings: PrepareSettings) -> int:
    source, length = settings.source, str(settings.seq_len)
    prefix = f"{source}_{_SHORT_NAMES.get(length, length)}"
    clean, language, parts = (Path(f"{prefix}_clean{ending}.json") for ending in ("", "_lang", "_lang_split"))
    identity = Path(f"{prefix}_clean_lang_split_identity.json")
    train = Path(_beside(parts, "_train.json"))
    await _clean(CleanSettings(in_file=Path(f"{source}_html.json"), out_file=clean))
    await _optional_clean(OptionalCleanSettings(in_file=clean, out_file=language, skip_lang="ko"))
    await _split_long(
        SplitLongSettings(
            in_file=language,
            out_file=parts,
            model_name_or_path=settings.model_name_or_path,
            max_length=settings.seq_len,
        )
    )
    await _filter_wrong_format(_InOutSettings(in_file=parts, out_file=parts))
    await _split_train_test(SplitTrainTestSettings(in_file=parts, ratio=0.99))
    await _hardcoded(HardcodedSettings())
    await _merge(MergeSettings(in_file=(train, Path("hardcoded.json")), out_file=identity))
    await _gpt4_only(_PartSettings(in_file=identity))
    await _single_round(_PartSettings(in_file=identity))
    return 0


def _read(settings: _InSettings) -> "Iterator[Conversation]":
    from fastchat.data.readers.conversations import read_conversations
    from fastchat.data.selecting import part

    conversations = read_conversations(settings.source)
    return part(conversations, settings.begin, settings.end) if isinstance(settings, _PartSettings) else conversations


def _beside(file: Path, ending: str) -> str:
    return str(file).replace(".json", ending)


def _told(tally: "Tally") -> None:
    print(f"#in: {tally.read}, #out: {tally.written}")
