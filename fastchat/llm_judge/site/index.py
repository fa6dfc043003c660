"""The first page: what the judgments say, and the questions to choose from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean

from fastchat import __version__
from fastchat.llm_judge.results.games import is_readable
from fastchat.llm_judge.results.scores import FAILED
from fastchat.llm_judge.results.table import Table
from fastchat.llm_judge.results.tables import tables
from fastchat.llm_judge.site.html import name, page, select, table
from fastchat.llm_judge.site.reading import Asked, Bench, winner

_BEGINNING = 160  # letters of a question
_FEW = 6  # models whose results fit in a line


def index_page(bench: Bench, files: Sequence[str], *, plots: str = "", can_grade: bool = False) -> str:
    """`files` are those of the questions, in their order; `plots` is the address of theirs, if there are any."""
    links = {"Questions": "#list", "Plots": plots, "Grade answers": "grade/next" if can_grade else ""}
    nav = "".join(f'<a href="{link}">{text}</a>' for text, link in links.items() if link)
    shown = tables(bench.report) if bench.report else ()
    results = "".join(map(_results, shown)) or "<p>Nothing is judged yet.</p>"
    return page(
        bench.name,
        f'<header><h1>{name(bench.name)}</h1><p class="summary">{_summary(bench)}</p><nav>{nav}</nav></header>'
        f'<main>{results}<h2 id="list">Questions</h2>{_controls(bench)}{_questions(bench, files)}</main>'
        f"<footer><p>Made by FastChat {escape(__version__)}.</p></footer>",
    )


def _summary(bench: Bench) -> str:
    counts = ((len(bench.asked), "question"), (len(bench.models), "model"), (len(bench.judges), "judge"))
    return ", ".join(f"{number:,} {what}{'' if number == 1 else 's'}" for number, what in counts) + "."


def _results(shown: Table) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in shown.notes)
    return f"<h2>{escape(shown.title)}</h2>{table(shown.title, shown.columns, shown.rows) if shown.rows else ''}{notes}"


def _controls(bench: Bench) -> str:
    categories = sorted({asked.category for asked in bench.asked if asked.category}, key=str.casefold)
    chosen = select("category", "Category", "all", ((each, each) for each in categories)) if categories else ""
    models = select("model", "Model", "all", ((str(at), model) for at, model in enumerate(bench.models)))
    return (
        f'<form class="controls" role="search" aria-label="Which questions">{chosen}{models}'
        '<label>Filter<input id="search" type="search" autocomplete="off" spellcheck="false"></label>'
        '<p id="found" role="status"></p></form>'
    )


def _questions(bench: Bench, files: Sequence[str]) -> str:
    numbers = {model: at for at, model in enumerate(bench.models)}
    kind = "" if len(bench.models) <= _FEW else ' class="many"'
    rows = "".join(_row(asked, file, numbers) for asked, file in zip(bench.asked, files, strict=True))
    told = "Behind a model: the mean of its scores, else how many pairs it won, lost and tied."
    more = " There are many models: choose one to see its results." if kind else ""
    return f'<p>{told}{more}</p><ol id="questions"{kind}>{rows}</ol>'


def _row(asked: Asked, file: str, numbers: Mapping[str, int]) -> str:
    models = asked.models
    said = "".join(
        f'<span class="tag" data-model="{numbers[model]}">{name(model)} {_result(asked, model)}</span>'
        for model in models
    )
    known = " ".join(str(numbers[model]) for model in models)
    return (
        f'<li data-category="{escape(asked.category)}" data-models="{known}">'
        f'<a href="{file}">{name(str(asked.id))}</a> <span class="soft">{name(asked.category)}</span> '
        f'<span class="beginning" dir="auto">{escape(_beginning(asked))}</span><span class="tags">{said}</span></li>'
    )


def _beginning(asked: Asked) -> str:
    if asked.question is None:
        return "(not in the folder)"
    words = " ".join(asked.question.turns[0][: 4 * _BEGINNING].split())
    return words if len(words) <= _BEGINNING else f"{words[:_BEGINNING]}…"


def _result(asked: Asked, model: str) -> str:
    scores = [row.score for row in asked.single if row.model == model and row.score != FAILED]
    if scores:
        return f"{fmean(scores):.1f}"
    return _record(asked, model)


def _record(asked: Asked, model: str) -> str:
    """Empty without a verdict on a pair of it."""
    own = [row for row in asked.pairs if is_readable(row) and model in (row.model_1, row.model_2)]
    counts = Counter("tied" if winner(row) is None else "won" if winner(row) == model else "lost" for row in own)
    return f"{counts['won']}–{counts['lost']}–{counts['tied']}" if own else ""
