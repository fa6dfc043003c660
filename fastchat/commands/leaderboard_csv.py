"""`python3 -m fastchat.serve.monitor.leaderboard_csv_to_html`: FastChat's table of models as HTML, to be pasted."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from fastchat.core.errors import SetupError

_COLUMNS = ("Model", "MT-bench (score)", "Arena Elo rating", "MMLU", "License")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="leaderboard_csv_to_html", description="A table of models as HTML.")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="leaderboard_table_YYYYMMDD.csv")
    file = parser.parse_args(argv).input
    try:
        rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines(), restkey="", restval=""))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {error}.") from None
    columns = [name for name in _COLUMNS if rows and name in rows[0]]
    if "Model" not in columns:
        raise SetupError(f"{file} has no column 'Model', or no line. It should be FastChat's table of models.")
    rows.sort(key=_rating, reverse=True)
    heads = "".join(f"<th>{escape(name)}</th>" for name in columns)
    print(f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>")
    for row in rows:
        print(f"<tr>{''.join(_cell(name, row) for name in columns)}</tr>")
    print("</tbody>\n</table>")


def _rating(row: Mapping[str, str]) -> float:
    try:
        return float(row.get("Arena Elo rating") or "")
    except ValueError:
        return float("-inf")


def _cell(name: str, row: Mapping[str, str]) -> str:
    text, link = escape(row[name]), row.get("Link") or ""
    if name == "Model" and link.startswith(("https://", "http://")):
        text = f'<a target="_blank" rel="noopener" href="{escape(link)}">{text}</a>'
    return f"<td>{text}</td>"
