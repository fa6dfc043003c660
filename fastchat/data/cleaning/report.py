"""What was cleaned, as a page that stands alone and as JSON. What others wrote is text in it and nothing else."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastchat import __version__
from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.data.cleaning.choosing import KNOWN
from fastchat.data.cleaning.tally import Reason, Tally


@dataclass(frozen=True, slots=True)
class Report:
    source: str
    target: str
    rules: Sequence[str]
    options: Mapping[str, Any]  # Any: what a flag was given
    tally: Tally

    def as_json(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "made_by": f"FastChat {__version__}",
            "source": self.source,
            "target": self.target,
            "rules": list(self.rules),
            "options": dict(self.options),
            "conversations": {"read": tally.read, "unreadable": tally.unreadable, "written": tally.written},
            "characters": {"read": tally.chars_read, "written": tally.chars_written},
            "findings": tally.as_json(),
        }


def write_report(file: Path, report: Report) -> None:
    """A page or JSON, as the name of the file says.

    Raises:
        SetupError: it says neither, or the file cannot be written.
    """
    check_name(file)
    as_page = file.suffix.lower() in (".html", ".htm")
    text = page(report) if as_page else json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
    write_output(file, text.encode())


def check_name(file: Path) -> None:
    """
    Raises:
        SetupError: a report of this name would be neither a page nor JSON.
    """
    if file.suffix.lower() not in (".html", ".htm", ".json"):
        raise SetupError(f"A report is a page or JSON: name it .html or .json, not {file.name!r}.")


def page(report: Report) -> str:
    style = (files(__package__) / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    tally = report.tally
    title = f"Cleaning of {report.source}"
    body = (
        f"<header><h1>{escape(title)}</h1><p>{_summary(report)}</p></header><main>"
        f"<h2>Rules</h2>{_rules(report)}<h2>Findings</h2>{''.join(_findings(tally)) or '<p>Nothing was found.</p>'}"
        f"</main><footer><p>Written to {escape(report.target)} by FastChat {escape(__version__)}. "
        f"Options: {escape(json.dumps(dict(report.options), ensure_ascii=False))}</p></footer>"
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


def _summary(report: Report) -> str:
    tally = report.tally
    kept = f"{tally.written / tally.read:.1%}" if tally.read else "none"
    unreadable = f" {tally.unreadable:,} records could not be read." if tally.unreadable else ""
    return (
        f"Of {tally.read:,} conversations with {tally.chars_read:,} characters, {tally.written:,} ({kept}) with "
        f"{tally.chars_written:,} characters stayed.{unreadable}"
    )


def _rules(report: Report) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(KNOWN[name].summary)}</td>'
        f'<td class="number">{report.tally.changed(name):,}</td>'
        f'<td class="number">{report.tally.dropped(name):,}</td></tr>'
        for name in report.rules
    )
    return (
        '<table><thead><tr><th scope="col">rule</th><th scope="col">what it does</th>'
        '<th scope="col" class="number">changed</th><th scope="col" class="number">dropped</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _findings(tally: Tally) -> list[str]:
    return [_finding(reason, count, tally) for reason, count in tally.counts.most_common()]


def _finding(reason: Reason, count: int, tally: Tally) -> str:
    examples = "".join(
        f"<li><code>{escape(example.id)}</code> <bdi>{escape(example.found)}</bdi></li>"
        for example in tally.examples.get(reason, ())
    )
    return (
        f"<details><summary><b>{count:,}</b> {reason.done} by <b>{escape(reason.rule)}</b>: "
        f"<bdi>{escape(reason.why)}</bdi></summary><ul>{examples}</ul></details>"
    )
