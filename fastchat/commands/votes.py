"""`fastchat votes`: FastChat's logs cleaned into battles, counted, or read (as before by `clean_battle_data` …)."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output

if TYPE_CHECKING:
    from fastchat.arena.cleaning.activity import Activity, Counts
    from fastchat.arena.cleaning.battles import CleanBattles
    from fastchat.arena.cleaning.choosing import CleaningOptions
    from fastchat.arena.cleaning.talks import Voted
    from fastchat.arena.leaderboard.votes import VoteTable

_ZONE = "US/Pacific"  # FastChat's
_LISTED = 30  # voters
_SAMPLES = 4
_NAMED = 10  # broken lines
_HOUR_S = 3600


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], None] = flags.run
    try:
        run(flags)
    except BrokenPipeError:  # `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise SetupError(f"A file{place} cannot be read or written: {error.strerror or error}.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat votes", description="Votes in FastChat's logs.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    clean = _action(actions, "clean", _clean, "write clean battles, and say what was left out and why")
    clean.add_argument(
        "--mode",
        choices=("simple", "conv_release"),
        default="simple",
        help="simple: without conversations; conv_release: with them, anonymous battles only (default: %(default)s)",
    )
    clean.add_argument("--exclude-model-names", nargs="+", default=[], metavar="MODEL", help="names or patterns")
    clean.add_argument("--ban-ip-file", type=Path, metavar="FILE", help="JSON list of addresses, or one a line")
    clean.add_argument("--sanitize-ip", action="store_true", help="number voters instead of naming their addresses")
    clean.add_argument("--output", type=Path, metavar="FILE", help="default: clean_battle_DAY.json, in this folder")
    clean.add_argument(
        "--identity",
        choices=("self", "words", "off"),
        default="self",
        help="drop where an answer says which model wrote it; where one of FastChat's words stands anywhere; or not",
    )
    clean.add_argument("--anonymous-only", action="store_true", help="drop votes on models whose names were shown")
    clean.add_argument("--languages", nargs="+", default=[], metavar="NAME", help="keep these only")
    clean.add_argument("--min-characters", type=int, metavar="N", help="drop shorter questions")
    clean.add_argument("--without-refusals", action="store_true", help="drop where an answer refuses")
    clean.add_argument("--daily-votes", type=int, metavar="N", help="count only a voter's first N of a day")
    clean.add_argument(
        "--deduplicate",
        type=float,
        nargs="?",
        const=0.9999,
        metavar="QUANTILE",
        help="thin out prompts that come more often than this quantile of all (default: %(const)s)",
    )
    clean.add_argument(
        "--set-aside",
        type=float,
        nargs="?",
        const=0.05,
        metavar="ALPHA",
        help="write votes of voters who vote unlike others into a file of their own; ALPHA is the probability for an "
        "honest voter to be among them (default: %(const)s)",
    )
    clean.add_argument("--renames", type=Path, metavar="FILE", help="TOML table of models' names (default: FastChat's)")

    _action(actions, "stats", _stats, "count actions, calls of models, anonymous votes, chats of the last 24 hours")

    inspect = _action(actions, "inspect", _inspect, "print voted conversations")
    inspect.add_argument("--winner", metavar="MODEL")
    inspect.add_argument("--loser", metavar="MODEL")
    inspect.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="one or two that took part")
    inspect.add_argument(
        "--vote", nargs="+", choices=("left", "right", "tie", "bothbad"), default=[], help="how it was voted"
    )
    inspect.add_argument("--conv-id", metavar="ID")
    inspect.add_argument("--text", metavar="WORDS", help="that stand in it")
    inspect.add_argument("--limit", type=int, metavar="N", help="print no more than that")
    return parser


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument(
        "--logs",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="files or folders (default: ~/fastchat_logs/server*, ~/fastchat_logs, $LOGDIR, or this folder)",
    )
    parser.add_argument("--max-num-files", type=_positive, metavar="N", help="the newest only")
    parser.add_argument("--time-zone", type=_zone, default=_ZONE, metavar="NAME", help="of days (default: %(default)s)")
    parser.set_defaults(run=run)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if name == _ZONE:  # a machine without a table of zones
            return UTC
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone; write it as Europe/Berlin or UTC") from None


def _logs(flags: argparse.Namespace) -> list[Path]:
    from fastchat.arena.cleaning.log_folders import find_logs

    return find_logs(flags.logs, flags.max_num_files)


def _clean(flags: argparse.Namespace) -> None:
    from fastchat.arena.cleaning.battles import clean_battles
    from fastchat.arena.cleaning.log_folders import broken_lines
    from fastchat.arena.cleaning.renames import renames

    files, options = _logs(flags), _options(flags)
    found = clean_battles(
        files, options, renames(flags.renames), hide_addresses=flags.sanitize_ip, false_alarms=flags.set_aside
    )
    broken = [f"{line.place} {line.reason}" for line in broken_lines(files)]
    _name_broken(broken)
    if not found.votes:
        raise SetupError(f"There is no vote in these {len(files)} logs, the newest of which is {files[-1]}.")
    _print_counts(found, {**found.counts, **({"malformed": len(broken)} if broken else {})}, flags.time_zone)
    if not len(found.table):
        raise SetupError("No vote is left; what dropped them stands above. Nothing was written.")
    day = f"{datetime.fromtimestamp(_last(found.table), flags.time_zone):%Y%m%d}"
    name = "clean_battle_conv" if flags.mode == "conv_release" else "clean_battle"
    _write_battles(found.table, flags.output or Path(f"{name}_{day}.json"), flags.mode, with_samples=True)
    if flags.set_aside is not None:
        _print_suspects(found)
    if len(found.quarantined):
        target = flags.output.with_stem(f"{flags.output.stem}_set_aside") if flags.output else None
        _write_battles(found.quarantined, target or Path(f"set_aside_{day}.json"), flags.mode)


def _options(flags: argparse.Namespace) -> "CleaningOptions":
    from pydantic import ValidationError

    from fastchat.arena.cleaning.choosing import CleaningOptions, read_banned

    if flags.set_aside is not None and not 0 < flags.set_aside < 1:
        raise SetupError(f"--set-aside takes a probability between 0 and 1; given: {flags.set_aside:g}.")
    try:
        return CleaningOptions(
            anonymous_only=flags.anonymous_only,
            identity=flags.identity,
            without_refusals=flags.without_refusals,
            least_characters=flags.min_characters,
            languages=tuple(flags.languages),
            excluded_models=tuple(flags.exclude_model_names),
            banned_voters=read_banned(flags.ban_ip_file) if flags.ban_ip_file else (),
            daily_votes=flags.daily_votes,
            duplicates_quantile=flags.deduplicate,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise SetupError(f"{first['loc'][0]} cannot be {first['input']!r}: {first['msg']}.") from None


def _print_counts(found: "CleanBattles", counts: dict[str, int], zone: tzinfo) -> None:
    print(f"#votes: {found.votes}")
    print(counts)
    print(f"#battles: {len(found.table)}, #anony: {counts['anony']}")
    if len(found.table):
        print(f"#models: {len(found.table.models)}, {list(found.table.models)}")
        print(f"last-updated: {datetime.fromtimestamp(_last(found.table), zone):%Y-%m-%d %H:%M:%S %Z}")
    print(f"Top {_LISTED} voters:")
    for voter, votes in found.votes_by_voter.most_common(_LISTED):
        print(f"  {voter}  {votes}")
    steps = [(step.rule, step.given, step.dropped, step.kept, step.why) for step in found.steps]
    print(_table(("rule", "given", "dropped", "kept", "why"), steps))


def _last(table: "VoteTable") -> float:
    from fastchat.arena.leaderboard.votes import TIME

    return float(str(table.frame[TIME].max()))


def _print_suspects(found: "CleanBattles") -> None:
    print(f"{len(found.suspects)} voters vote unlike others; their {len(found.quarantined)} votes were set aside.")
    rows = [(one.voter, one.votes, one.after, f"{one.odds:.3g}", one.kind.words) for one in found.suspects]
    if rows:
        print(_table(("voter", "votes", "sure after", "odds", "looks like"), rows))


def _write_battles(table: "VoteTable", target: Path, mode: str, *, with_samples: bool = False) -> None:
    from fastchat.arena.cleaning.battles import rows
    from fastchat.arena.leaderboard.votes import ANONYMOUS

    with_text = mode == "conv_release"
    battles = list(rows(table.where(table.frame[ANONYMOUS]) if with_text else table, with_text=with_text))
    if with_samples and not with_text:
        print("Samples:")
        for battle in battles[:_SAMPLES]:
            print(battle)
    write_output(target, json.dumps(battles, indent=2, ensure_ascii=False).encode(errors="replace"))
    print(f"Write cleaned data to {target}" if with_samples else f"Write them to {target}")


def _name_broken(lines: Sequence[str]) -> None:
    if lines:
        print(f"{len(lines)} lines cannot be read and were left out:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in lines[:_NAMED]), file=sys.stderr)
    if len(lines) > _NAMED:
        print(f"  … and {len(lines) - _NAMED} more", file=sys.stderr)


def _stats(flags: argparse.Namespace) -> None:
    from fastchat.arena.cleaning.activity import activity

    files = _logs(flags)
    found = activity(files, flags.time_zone)
    _name_broken(found.malformed)
    if found.until is None:
        raise SetupError(f"There is nothing in these {len(files)} logs, the newest of which is {files[-1]}.")
    print(_histogram("type", found, lambda counts: counts.actions) + "\n")
    print(_histogram("model", found, lambda counts: counts.models) + "\n")
    print(_histogram("anonymous vote", found, lambda counts: counts.anonymous_votes) + "\n")
    ends = [datetime.fromtimestamp(found.until - hour * _HOUR_S, flags.time_zone) for hour in range(24)]
    hours = [(f"{end:%Y-%m-%d %H:%M:%S %Z}", chats) for end, chats in zip(ends, found.chats_by_hour, strict=True)]
    print(_table(("hour until", "chats"), hours) + "\n")
    days = [(day, counts.actions["chat"], counts.anonymous_votes.total()) for day, counts in found.by_day.items()]
    print(_table(("day", "chats", "anonymous votes"), days))


def _histogram(title: str, found: "Activity", counted: "Callable[[Counts], dict[str, int]]") -> str:
    ever, day, hour = counted(found.ever), counted(found.last_day), counted(found.last_hour)
    names = sorted(ever, key=lambda name: (-ever[name], name))
    rows = [(name, ever[name], day.get(name, 0), hour.get(name, 0)) for name in names]
    return _table((title, "All", "Last Day", "Last Hour"), rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str | int]]) -> str:
    """As GitHub's Markdown has it, numbers to the right."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    numbers = [{column for column, cell in enumerate(row) if isinstance(cell, int)} for row in rows]
    to_right = set.intersection(*numbers) if numbers else set()
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 1) + (":" if column in to_right else "-") for column, width in enumerate(widths))
    return "\n".join([line(titles), f"|{rule}|", *map(line, cells)])


def _inspect(flags: argparse.Namespace) -> None:
    from itertools import islice

    from fastchat.arena.cleaning.talks import Wanted, voted_talks
    from fastchat.arena.records import Outcome

    votes = {"left": Outcome.LEFT, "right": Outcome.RIGHT, "tie": Outcome.TIE, "bothbad": Outcome.BOTH_BAD}
    outcomes = tuple(votes[name] for name in flags.vote)
    wanted = Wanted(flags.winner, flags.loser, tuple(flags.models), outcomes, flags.conv_id, flags.text)
    number = 0
    for voted in islice(voted_talks(_logs(flags), wanted), flags.limit):
        number += 1
        print(_readable(voted, flags.time_zone))
    if not number:
        raise SetupError("There is no such vote in these logs.")


def _readable(voted: "Voted", zone: tzinfo) -> str:
    at = f"{datetime.fromtimestamp(voted.at, zone):%Y-%m-%d %H:%M:%S %Z}"
    lines = ["=" * 20, f"{voted.outcome.value}  {at}  {voted.place}"]
    for side in voted.sides:
        lines.append(f"{side.title}: {side.model}  ({side.conv_id})")
        lines += [f"[[{said.role}]]: {said.text}" for said in side.messages]
    return "".join(_harmless(letter) for letter in "\n".join(lines))


def _harmless(letter: str) -> str:
    """What somebody wrote to a model must not command a terminal."""
    return letter if letter.isprintable() or letter in "\n\t" else "�"
