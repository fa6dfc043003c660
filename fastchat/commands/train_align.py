"""`fastchat train dpo|kto|reward|preferences`: from votes to a tuned model, or only to what it would learn from."""

import argparse
import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastchat.commands.train_errors import file_errors
from fastchat.core import logs
from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.train.machine import this_machine
from fastchat.train.prerequisites import check_libraries, quiet_libraries
from fastchat.train.recipe import read_recipe

if TYPE_CHECKING:
    from fastchat.data.records import Message, Preference, Rated
    from fastchat.train.alignment_plan import Lessons, Method
    from fastchat.train.alignment_recipe import AlignRecipe
    from fastchat.train.preferences import Report

_WIDEST = 300  # of a message that is shown
_DESCRIPTIONS: Mapping["Method", str] = {
    "dpo": "Tune a model to say what people preferred rather than what they did not (DPO).",
    "kto": "Tune a model towards answers that people want and away from others (KTO); ties count, too.",
    "reward": "Train a model that tells how much people would like an answer.",
}


def align(method: "Method", say: Callable[[str], None], prog: str, given: Sequence[str]) -> None:
    """
    Raises:
        SetupError: what its user has to mend.
    """
    flags = _parser(prog, _DESCRIPTIONS[method]).parse_args(given)
    recipe = _recipe(method, flags)
    check_libraries()
    recipe.check_packages()
    logs.configure("WARNING")
    quiet_libraries()
    with file_errors():
        lessons, report = asyncio.run(_lessons(recipe))
        _tell(report, say)
        from fastchat.train import alignment

        done = alignment.align(recipe.plan(lessons, this_machine(), os.environ), say)
    if done.held_out:
        say(done.held_out.words)
    if method == "reward":
        say(f"finished: {done.folder} gives conversations a reward (AutoModelForSequenceClassification)")
    else:
        say(f"finished. Serve it with: fastchat worker --model-path {done.folder}")


def preferences(prog: str, given: Sequence[str]) -> None:
    """
    Raises:
        SetupError: what its user has to mend.
    """
    parser = _parser(prog, "Show and write what would be learned from votes, and what is left out. Nothing is trained.")
    parser.add_argument("--rated", action="store_true", help="rated answers, for KTO, instead of pairs")
    parser.add_argument("--output", type=Path, metavar="FILE.jsonl", help="write what is learned from, as TRL reads it")
    parser.add_argument("--held-out", type=Path, metavar="FILE.jsonl", help="write what is held out")
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="write what was left out, and why")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="lessons to show (default: 3)")
    flags = parser.parse_args(given)
    recipe = _recipe("kto" if flags.rated else "dpo", flags)
    with _file_errors():
        lessons, report = asyncio.run(_lessons(recipe))
    _tell(report, print)
    for lesson in lessons.train[: flags.show]:
        print("\n".join(["", *_readable(lesson)]))
    for file, side in ((flags.output, lessons.train), (flags.held_out, lessons.held_out)):
        if file is not None:
            lines = (json.dumps(_row(lesson), ensure_ascii=False) + "\n" for lesson in side)
            write_output(file, "".join(lines).encode(errors="replace"))
            print(f"{file}: {len(side)} lessons")
    if flags.report is not None:
        write_output(flags.report, json.dumps(dict(lessons.told), indent=2, ensure_ascii=False).encode() + b"\n")
        print(f"{flags.report}: written")


def _parser(prog: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} [CONFIG.yaml] [key=value ...] [--from-votes DATABASE|FILE ...] [flags]",
        description=description,
        epilog="docs/training.md has all keys.",
    )
    parser.add_argument(
        "recipe", metavar="CONFIG.yaml | key=value", nargs="*", help="a recipe, and values over it: votes.winner=NAME"
    )
    parser.add_argument(
        "--from-votes",
        nargs="+",
        default=[],
        metavar="DATABASE|FILE",
        help="an arena's database (file, folder of its data, URL), or files of votes with conversations, also logs",
    )
    parser.add_argument("--arena", metavar="NAME", help="the arena of the database (default: default)")
    parser.add_argument("--no-blind-only", action="store_true", help="learn also from votes of who knew the names")
    return parser


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise SetupError(f"A file{place} cannot be read or written: {error.strerror or error}.") from None


def _recipe(method: "Method", flags: argparse.Namespace) -> "AlignRecipe":
    from fastchat.train.alignment_recipe import RECIPES

    places = [place for place in flags.from_votes if not _is_override(place)]
    given = [*flags.recipe, *filter(_is_override, flags.from_votes)]
    named = given.pop(0) if given and not _is_override(given[0]) else None
    if places:
        given.append(f"from_votes={json.dumps(places)}")
    if flags.arena is not None:
        given.append(f"arena={json.dumps(flags.arena)}")
    if flags.no_blind_only:
        given.append("votes.blind_only=false")
    return read_recipe(RECIPES[method], named, given)


def _is_override(text: str) -> bool:
    """Behind --from-votes everything looks like one more file; a file that is there, or a URL, is one."""
    key, sign, _ = text.partition("=")
    return bool(sign) and key.replace(".", "").isidentifier() and "://" not in text and not Path(text).exists()


class _Read(NamedTuple):
    lessons: "Lessons"
    report: "Report | None"


async def _lessons(recipe: "AlignRecipe") -> _Read:
    from fastchat.commands.train_votes import read_battles
    from fastchat.data.readers.preferences import read_preferences, read_rated
    from fastchat.train.alignment_plan import Lessons
    from fastchat.train.preferences import preference, rated, select, split

    is_rated = recipe.method == "kto"
    train: list[Any] = []  # Any: Preference or Rated, by the method
    held_out: list[Any] = []
    told: dict[str, Any] = {}
    report = None
    if recipe.from_votes:
        read = await read_battles(recipe.from_votes, recipe.arena, blind_only=recipe.votes.blind_only)
        selected = select(
            read.battles,
            recipe.votes,
            held_out=recipe.held_out,
            seed=recipe.seed,
            with_ties=is_rated,
            left_before=read.left_out,
        )
        report = selected.report
        told = {"votes_from": read.source, "votes_report": report.as_json()}
        for side, comparisons in ((train, selected.train), (held_out, selected.held_out)):
            for one in comparisons:
                side.extend(rated(one) if is_rated else (preference(one),))
    for files, share in ((recipe.data, 0.0 if recipe.eval_data else recipe.held_out), (recipe.eval_data, 1.0)):
        for file in files:
            sides = split(read_rated(file) if is_rated else read_preferences(file), share)
            train += sides.train
            held_out += sides.held_out
    if not train:
        _tell(report, print)
        raise SetupError(
            "Nothing is left to learn from." + (" What was left out, and why, stands above." if report else "")
        )
    return _Read(Lessons(train, held_out, told), report)


def _tell(report: "Report | None", say: Callable[[str], None]) -> None:
    if report is None:
        return
    say(f"{report.votes} votes were read")
    for left in report.left_out:
        say(f"{left.votes:>7} left out: {left.why}")
    say(f"{report.trained:>7} are learned from, {report.held_out} are held out")
    if report.wins:
        say("        won by " + ", ".join(f"{model} ({wins})" for model, wins in report.wins.items()))


def _row(lesson: "Preference | Rated") -> dict[str, Any]:
    from fastchat.data.records import Preference

    common = {"id": lesson.id, "votes": list(lesson.votes), "prompt": list(lesson.prompt)}
    if isinstance(lesson, Preference):
        return {**common, "chosen": list(lesson.chosen), "rejected": list(lesson.rejected)}
    return {**common, "completion": list(lesson.completion), "label": lesson.is_wanted}


def _readable(lesson: "Preference | Rated") -> list[str]:
    from fastchat.data.records import Preference

    lines = [f"{lesson.id}", *_said("prompt", lesson.prompt)]
    if isinstance(lesson, Preference):
        return [*lines, *_said("chosen", lesson.chosen), *_said("rejected", lesson.rejected)]
    return [*lines, *_said("wanted" if lesson.is_wanted else "not wanted", lesson.completion)]


def _said(title: str, messages: "Sequence[Message]") -> list[str]:
    """What somebody wrote to a model must not command a terminal."""
    from fastchat.data.texts import excerpt, text_of

    texts = (excerpt(text_of(message), length=_WIDEST) for message in messages)
    return [
        f"  {title}, {message['role']}: {''.join(letter if letter.isprintable() else '�' for letter in text)}"
        for message, text in zip(messages, texts, strict=True)
    ]
