"""`fastchat leaderboard`: boards out of votes, as one file that anybody can compute again, and shown in many forms."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastchat.core.actions import end_with
from fastchat.core.errors import MissingPackage, SetupError
from fastchat.core.outputs import write_output
from fastchat.launcher.store_settings import StoreSettings

if TYPE_CHECKING:
    from fastchat.arena.cleaning.choosing import CleaningOptions
    from fastchat.arena.leaderboard.board import Board
    from fastchat.arena.leaderboard.building import BoardOptions
    from fastchat.arena.leaderboard.categories import Sources
    from fastchat.arena.leaderboard.verifying import Difference, Verification
    from fastchat.arena.leaderboard.votes import VoteTable

_SHOWN = 40  # differences
_WIDEST = 80  # of a value that is shown
_TEXTS = ("conv_a", "conv_b")
_CLEAN = "standard, words, refusals, short=CHARACTERS, daily=VOTES, dwell=SECONDS, duplicates=QUANTILE, language=NAME"


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = flags.run
    end_with(lambda: run(flags))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat leaderboard", description="Ratings of models from votes.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    build = _action(actions, "build", _build, "rate models by votes, and write the board as one JSON file")
    _add_votes(build)
    _add_rating(build)
    _add_selection(build)
    build.add_argument("--models", type=Path, metavar="FILE", help="what is known of models: FastChat's CSV, or YAML")
    build.add_argument("--output", type=Path, required=True, metavar="FILE", help="board.json, or - for the terminal")

    verify = _action(actions, "verify", _verify, "compute a board again, and say what differs: then the status is 1")
    verify.add_argument("board", type=Path, metavar="BOARD")
    _add_votes(verify)
    _add_sources(verify)

    show = _action(actions, "show", _show, "print a category")
    show.add_argument("board", type=Path, metavar="BOARD")
    show.add_argument("--category", metavar="NAME", help="default: the first")
    show.add_argument("--raw", action="store_true", help="without control for style")
    show.add_argument("--format", choices=("table", "markdown", "csv", "json"), default="table")

    site = _action(actions, "site", _site, "write a page that stands alone: one HTML file, with the board beside it")
    site.add_argument("board", type=Path, metavar="BOARD")
    site.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    site.add_argument("--title", default="Leaderboard", help="of the page (default: %(default)s)")

    export = _action(actions, "export", _export, "write a board for other programs")
    export.add_argument("board", type=Path, metavar="BOARD")
    export.add_argument("--format", choices=("fastchat-pickle", "csv", "markdown"), required=True)
    export.add_argument("--category", metavar="NAME", help="of CSV and Markdown (default: the first)")
    export.add_argument("--output", type=Path, required=True, metavar="FILE", help="a file, or - for the terminal")
    return parser


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _add_votes(parser: argparse.ArgumentParser) -> None:
    votes = parser.add_argument_group("votes", "from files, or from an arena's own store")
    votes.add_argument(
        "--votes", type=Path, nargs="+", action="extend", metavar="FILE",
        help="csv, json, jsonl, parquet, FastChat's logs and clean battles, packed by gzip or not",
    )  # fmt: skip
    votes.add_argument("--arena", metavar="NAME", help="the arena of the store whose votes are taken")
    for name, field in StoreSettings.model_fields.items():
        flag, metavar = f"--{name.replace('_', '-')}", name.rpartition("_")[2].upper()
        votes.add_argument(flag, help=field.description, metavar=metavar, default=argparse.SUPPRESS)
    votes.add_argument(
        "--columns", type=_pairs, action="append", metavar="OURS=THEIRS,…", help="what columns of the votes are called"
    )
    votes.add_argument(
        "--where", type=_pair, nargs="+", action="extend", metavar="COLUMN=VALUE", help="take only such rows"
    )


def _add_rating(parser: argparse.ArgumentParser) -> None:
    rating = parser.add_argument_group("rating")
    rating.add_argument("--rating", choices=("bt", "elo"), help="Bradley-Terry (default), or Elo by the votes' order")
    rating.add_argument("--ridge", type=float, metavar="R", help="R/2 times squared strengths is added (default: 0)")
    rating.add_argument("--both-bad", choices=("half", "drop", "own"), help="what is made of it (default: half)")
    rating.add_argument("--style-control", action="store_true", help="with the style of answers taken out")
    rating.add_argument("--interval", choices=("sandwich", "clustered", "bootstrap"), help="default: sandwich")
    rating.add_argument("--confidence", type=float, metavar="SHARE", help="of intervals and ranks (default: 0.95)")
    rating.add_argument("--rounds", type=int, metavar="N", help="of the bootstrap (default: 1000)")
    rating.add_argument("--seed", type=int, metavar="N", help="of all that is drawn (default: 0)")
    rating.add_argument("--anchor", metavar="MODEL[=VALUE]", help="whose rating is 1000, or this value")
    rating.add_argument("--ipw", action="store_true", help="weigh votes by the inverse probability of their pair")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group("which votes and models")
    which.add_argument("--anonymous-only", action="store_true", help="of blind battles")
    which.add_argument("--clean", nargs="*", action="extend", metavar="RULE", help=f"leave out more: {_CLEAN}")
    which.add_argument("--quarantine", action="store_true", help="leave out voters who vote unlike all others")
    which.add_argument(
        "--false-alarms", type=float, metavar="SHARE", help="of the test of voters; 0: no test (default: 0.1)"
    )
    which.add_argument("--unlisted", nargs="+", action="extend", metavar="MODEL", help="tested, but not to be ranked")
    which.add_argument("--category", nargs="+", action="extend", metavar="NAME", help="only these; also: overall")
    _add_sources(which)


def _add_sources(parser: Any) -> None:  # Any: a parser or a group of its flags
    parser.add_argument("--category-rules", type=Path, metavar="FILE", help="YAML of categories of one's own")
    parser.add_argument(
        "--labels", type=Path, nargs="+", action="extend", metavar="FILE", help="of prompts, by a model"
    )


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as name=value")
    return name, value


def _pairs(text: str) -> list[tuple[str, str]]:
    return [_pair(item.strip()) for item in text.split(",")]


def _build(flags: argparse.Namespace) -> int:
    _require_packages()
    from fastchat.arena.leaderboard.building import build
    from fastchat.arena.leaderboard.facts import read_facts

    if str(flags.output) != "-" and not flags.output.absolute().parent.is_dir():
        raise SetupError(
            f"--output {flags.output} cannot be written: there is no folder {flags.output.absolute().parent}."
        )
    options = _options(flags)
    facts = read_facts(flags.models) if flags.models else {}
    board = build(_votes(flags, options), options, now=time.time(), facts=facts, sources=_sources(flags))
    _write(flags.output, (board.model_dump_json() + "\n").encode())
    if str(flags.output) != "-":
        _tell(flags.output, board)
    return 0


def _tell(file: Path, board: "Board") -> None:
    for step in board.cleaning:
        if step.dropped:
            print(f"left out: {_counted(step.dropped, 'vote')}, {step.rule}: {step.why}")
    for name, category in board.categories.items():
        said = f"{_counted(category.votes, 'vote')}, {_counted(len(category.models), 'model')}"
        print(f"{file}: {name}: {said if category.votes else 'no votes'}")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _options(flags: argparse.Namespace) -> "BoardOptions":
    from fastchat.arena.leaderboard.building import BoardOptions

    names = ("rating", "ridge", "both_bad", "interval", "confidence", "rounds", "seed")
    given = {name: getattr(flags, name) for name in names if getattr(flags, name) is not None}
    if flags.rating == "elo" and flags.interval is None:
        given["interval"] = "bootstrap"  # there is no other way
    if flags.anchor is not None:
        given |= _anchor(flags.anchor)
    if flags.false_alarms is not None:
        given["false_alarms"] = flags.false_alarms or None
    return BoardOptions.of(
        **given,
        style_control=flags.style_control,
        anonymous_only=flags.anonymous_only,
        as_arena=flags.arena is not None,
        inverse_propensity=flags.ipw,
        cleaning=None if flags.clean is None else _cleaning(flags.clean),
        quarantine=flags.quarantine,
        categories=tuple(flags.category) if flags.category else None,
        unlisted=tuple(flags.unlisted or ()),
        columns=_named(flags),
        where=_where(flags),
    )


def _named(flags: argparse.Namespace) -> dict[str, str]:
    return _each_once("--columns", [pair for pairs in flags.columns or () for pair in pairs])


def _where(flags: argparse.Namespace) -> dict[str, str]:
    return _each_once("--where", flags.where or ())


def _each_once(flag: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise SetupError(f"{flag}: {name} is to be {found[name]!r} and {value!r}. Give it once.")
    return found


def _anchor(text: str) -> dict[str, Any]:
    """A model's name may have a = in it, so only what is a number behind the last one is a value."""
    name, sign, value = text.rpartition("=")
    try:
        return {"anchor": name, "offset": float(value)} if sign else {"anchor": text}
    except ValueError:
        return {"anchor": text}


def _cleaning(rules: Sequence[str]) -> "CleaningOptions":
    """What no ranking wants, and what is named."""
    from pydantic import ValidationError

    from fastchat.arena.cleaning.choosing import CleaningOptions

    fields = {"short": "least_characters", "daily": "daily_votes", "dwell": "least_dwell_s"}
    fields["duplicates"] = "duplicates_quantile"
    given: dict[str, Any] = {}
    for rule in rules:
        name, _, value = rule.partition("=")
        if name in fields and value:
            given[fields[name]] = value
        elif name == "language" and value:
            given["languages"] = (*given.get("languages", ()), value)
        elif rule == "words":
            given["identity"] = "words"
        elif rule == "refusals":
            given["without_refusals"] = True
        elif rule not in ("standard", "all"):
            raise SetupError(f"--clean {rule}: there is no such rule. There are: {_CLEAN}.")
    try:
        return CleaningOptions(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SetupError(f"--clean {first['loc'][0]}: {first['msg']} (given: {first['input']!r})") from None


def _sources(flags: argparse.Namespace) -> "Sources":
    from fastchat.arena.leaderboard.categories import Sources
    from fastchat.arena.leaderboard.categories.rules_file import read_rules

    rules = read_rules(flags.category_rules) if flags.category_rules else {}
    return Sources(rules=rules, labels=flags.labels or ())


def _votes(flags: argparse.Namespace, options: "BoardOptions") -> "VoteTable":
    """What the options need to be read of them, and no more: conversations take most of the room."""
    from fastchat.arena.leaderboard.board import OVERALL
    from fastchat.arena.leaderboard.reading import read_votes

    reads_texts = options.style_control or options.cleaning or set(options.categories or ()) - {OVERALL}
    needs = _TEXTS if reads_texts else ()
    if flags.votes and flags.arena:
        raise SetupError("--votes and --arena: give the one or the other.")
    if flags.votes:
        return read_votes(flags.votes, columns=options.columns, where=options.where, needs=needs)
    if not flags.arena:
        raise SetupError("Give files of votes with --votes FILE, or an arena of the store with --arena NAME.")
    return asyncio.run(_stored(flags, options.columns, options.where, needs))


async def _stored(
    flags: argparse.Namespace, columns: Mapping[str, str], where: Mapping[str, str], needs: Sequence[str]
) -> "VoteTable":
    from fastchat.arena.leaderboard.store_votes import store_votes
    from fastchat.arena.store.store import read_store

    settings = StoreSettings(**vars(flags))
    async with read_store(settings.address) as store:
        return await store.read(
            lambda rows: store_votes(rows, flags.arena, settings.secret(), columns=columns, where=where, needs=needs)
        )


def _verify(flags: argparse.Namespace) -> int:
    _require_packages()
    from fastchat.arena.leaderboard.board import read_board
    from fastchat.arena.leaderboard.verifying import options_of, verify_counts, verify_votes

    board = read_board(flags.board)
    if not flags.votes and not flags.arena:
        return _told(verify_counts(board))
    options = options_of(board)
    changed = {"columns": _named(flags) or options.columns, "where": _where(flags) or options.where}
    for name, value in changed.items():
        if dict(value) != dict(getattr(options, name)):
            print(f"--{name} is not what the board was built with, which was: {_short(dict(getattr(options, name)))}")
    votes = _votes(flags, options.model_copy(update=changed))
    return _told(verify_votes(board, votes, _sources(flags)))


def _told(found: "Verification") -> int:
    for what in found.checked:
        print(f"checked      {what}")
    for what in found.unchecked:
        print(f"not checked  {what}")
    if found.is_right:
        print("OK: computed again, every number is the same.")
        return 0
    _print_differences(found.differences)
    print(f"NOT OK: {len(found.differences)} values differ.")
    return 1


def _print_differences(differences: Sequence["Difference"]) -> None:
    """In columns. Places are never cut off: other programs look for them, too."""
    from fastchat.arena.leaderboard.rendering.lines import printable

    told = [("where", "stated", "computed")]
    for one in differences[:_SHOWN]:
        told.append((printable(one.where), _short(one.stated), _short(one.computed)))
    widths = [max(len(row[column]) for row in told) for column in range(2)]
    for where, stated, computed in told:
        print(f"{where:<{widths[0]}}  {stated:<{widths[1]}}  {computed}")
    if len(differences) > _SHOWN:
        print(f"… and {len(differences) - _SHOWN} more")


def _short(value: Any) -> str:  # Any: JSON
    text = json.dumps(value)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _show(flags: argparse.Namespace) -> int:
    from fastchat.arena.leaderboard.board import read_board
    from fastchat.arena.leaderboard.rendering import terminal
    from fastchat.arena.leaderboard.rendering.csv import csv_table
    from fastchat.arena.leaderboard.rendering.lines import category_of
    from fastchat.arena.leaderboard.rendering.markdown import markdown

    board = read_board(flags.board)
    category = flags.category or next(iter(board.categories))
    if flags.format == "json":
        print(category_of(board, category).model_dump_json(indent=1))
    elif flags.format == "table":
        terminal.show(board, category, raw=flags.raw)
    else:
        write = {"markdown": markdown, "csv": csv_table}[flags.format]
        print(write(board, category, raw=flags.raw), end="")
    return 0


def _site(flags: argparse.Namespace) -> int:
    from fastchat.arena.leaderboard.board import read_board
    from fastchat.arena.leaderboard.rendering.site import write_site

    written = write_site(read_board(flags.board), flags.output, flags.title)
    print(f"{written[0]}: written, with {len(written) - 1} files beside it")
    return 0


def _export(flags: argparse.Namespace) -> int:
    from fastchat.arena.leaderboard.board import read_board
    from fastchat.arena.leaderboard.rendering.csv import csv_table
    from fastchat.arena.leaderboard.rendering.fastchat_pickle import fastchat_pickle
    from fastchat.arena.leaderboard.rendering.markdown import markdown

    board = read_board(flags.board)
    if flags.format == "fastchat-pickle":
        _write(flags.output, fastchat_pickle(board))
        return 0
    category = flags.category or next(iter(board.categories))
    write = {"markdown": markdown, "csv": csv_table}[flags.format]
    _write(flags.output, write(board, category).encode())
    return 0


def _write(file: Path, content: bytes) -> None:
    if str(file) == "-":
        sys.stdout.buffer.write(content)
    else:
        write_output(file, content)


def _require_packages() -> None:
    for package in ("numpy", "scipy"):
        if find_spec(package) is None:
            raise MissingPackage(package, "leaderboard", "Rating models")
