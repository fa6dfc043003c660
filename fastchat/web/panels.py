"""What stands below a board's table, to be unfolded: what the votes leave open, what moves them, how it was made."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fastchat.arena.leaderboard.board import OVERALL, BiasRow, Board, CoefficientRow, QuarantineBoard, VariantRow
from fastchat.web.boards import interval_title
from fastchat.web.markup import escaped
from fastchat.web.rated import Rated
from fastchat.web.ratings_table import cell, points, signed
from fastchat.web.tables import NOTHING, Cell, Column, Table, table_html, tag
from fastchat.web.texts import Texts

VERIFY = "fastchat leaderboard verify board.json"
VERIFY_BY_VOTES = f"{VERIFY} --votes FILE"


class Panel(NamedTuple):
    name: str
    title: str
    inside: str


def panels(shown: Rated, texts: Texts) -> Iterator[Panel]:
    inside = {"neighbours": _neighbours(shown, texts), "coefficients": _coefficients(shown, texts)}
    of_all = {"variants": _variants(shown.variants, texts)}
    if shown.board is not None:
        of_all |= {
            "bias": _bias(shown.board, shown, texts),
            "cleaning": _cleaning(shown.board, texts),
            "quarantine": _quarantine(shown.board.quarantine, shown, texts) if shown.board.quarantine else "",
        }
    told = "" if shown.name == OVERALL else paragraph(texts("board_of_all"))
    inside |= {name: told + text for name, text in of_all.items() if text}
    inside["verify"] = _verify(shown, texts)
    yield from (Panel(name, texts(f"board_panel_{name}"), text) for name, text in inside.items() if text)


def paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"


def _neighbours(shown: Rated, texts: Texts) -> str:
    rows = shown.category.neighbours
    if not rows:
        return ""
    columns = [
        Column(texts("model")), Column(texts("board_next")), Column(texts("board_difference"), True),
        Column(texts("board_probability"), True), Column(texts("board_separated")), Column(texts("board_needed"), True),
    ]  # fmt: skip
    cells = [
        [
            Cell(shown.named(row.better)),
            Cell(shown.named(row.worse)),
            Cell(f"{signed(row.difference)} ± {row.error:.0f}"),
            Cell(f"{row.probability:.1%}"),
            Cell(texts("board_yes" if row.separated else "board_no")),
            Cell(
                "–" if row.separated else texts("board_never") if row.votes_needed is None else f"{row.votes_needed:,}"
            ),
        ]
        for row in rows
    ]
    flip = shown.category.top_flip
    told = "" if flip is None else paragraph(
        texts(
            "board_flip_is",
            votes=f"{flip.votes:,}",
            share=f"{flip.share:.2%}",
            first=shown.named(flip.first),
            second=shown.named(flip.second),
        )
    )  # fmt: skip
    return paragraph(texts("board_neighbours_is")) + told + _table(shown, "neighbours", columns, cells, texts)


def _coefficients(shown: Rated, texts: Texts) -> str:
    rows = shown.category.coefficients
    if not rows:
        return ""
    columns = [Column(texts("board_feature")), Column(texts("board_worth"), True), _interval(shown, texts)]
    cells = [
        [
            Cell(_spoken(row.name)),
            Cell(signed(row.estimate, "+.1f")),
            _range(row, texts),
        ]
        for row in rows
    ]
    return paragraph(texts("board_coefficients_is")) + _table(shown, "coefficients", columns, cells, texts)


def _bias(board: Board, shown: Rated, texts: Texts) -> str:
    if not board.bias:
        return ""
    columns = [
        Column(texts("board_feature")), Column(texts("board_unit")), Column(texts("board_worth"), True),
        _interval(shown, texts), Column(texts("board_largest"), True), Column(texts("board_reordered"), True),
    ]  # fmt: skip
    cells = [
        [
            Cell(_spoken(row.name)),
            Cell(row.unit),
            Cell(signed(row.estimate, "+.1f")),
            _range(row, texts),
            Cell(f"{row.largest_change:.1f}"),
            Cell(f"{row.order_changes:,}"),
        ]
        for row in board.bias
    ]
    return paragraph(texts("board_bias_is")) + _table(shown, "bias", columns, cells, texts)


def _variants(rows: Sequence[VariantRow], texts: Texts) -> str:
    if not rows:
        return ""
    title = texts("board_panel_variants")
    columns = [
        Column(texts("board_family")), Column(texts("board_tested")), Column(texts("board_listed")),
        Column(texts("board_gain"), True),
    ]  # fmt: skip
    cells = [
        [
            Cell(row.family, extra=tag(texts("board_flagged")) if row.flagged else ""),
            Cell(", ".join(f"{name} ({votes:,})" for name, votes in row.tested.items())),
            Cell(", ".join(row.listed) or "–"),
            cell(row.expected_gain, ".1f"),
        ]
        for row in rows
    ]
    return paragraph(texts("board_variants_is")) + table_html(Table(title, columns, cells))


def _cleaning(board: Board, texts: Texts) -> str:
    if not board.cleaning:
        return ""
    columns = [
        Column(texts("board_rule")), Column(texts("board_why")), Column(texts("board_given"), True),
        Column(texts("board_dropped"), True), Column(texts("board_kept"), True),
    ]  # fmt: skip
    cells = [
        [
            Cell(_spoken(step.rule)),
            Cell(step.why),
            *(Cell(f"{count:,}", count) for count in (step.given, step.dropped, step.kept)),
        ]
        for step in board.cleaning
    ]
    title = texts("board_panel_cleaning")
    return paragraph(texts("board_cleaning_is")) + table_html(Table(title, columns, cells))


def _quarantine(found: QuarantineBoard, shown: Rated, texts: Texts) -> str:
    columns = [
        Column(texts("model")), Column(texts("board_without"), True), Column(texts("board_with"), True),
        Column(texts("board_difference"), True),
    ]  # fmt: skip
    others = {row.name: row.rating for row in found.models_with}
    cells = [
        [
            Cell(shown.named(row.name)),
            points(row.rating),
            cell(others.get(row.name), ".0f"),
            NOTHING if row.name not in others else cell(others[row.name] - row.rating, "+.1f"),
        ]
        for row in found.models_without
    ]
    told = texts(
        "board_quarantine_is", voters=f"{found.voters:,}", votes=f"{found.votes:,}", level=f"{found.level * 100:g}"
    )
    applied = texts("board_quarantine_applied" if found.applied else "board_quarantine_not_applied")
    plain = paragraph(texts("board_plain")) if shown.can_be_raw else ""
    return paragraph(told) + paragraph(applied) + plain + _table(shown, "quarantine", columns, cells, texts)


def _verify(shown: Rated, texts: Texts) -> str:
    facts = "".join(
        f"<dt>{texts.html(name)}</dt><dd>{escaped(value)}</dd>" for name, value in shown.made_of.items() if value
    )
    by_votes = paragraph(texts("board_verify_votes")) + _command(VERIFY_BY_VOTES) if _needs_votes(shown) else ""
    return (
        f"{paragraph(texts('board_verify_is'))}"
        f'<p><a href="{escaped(shown.address)}" download="board.json">{texts.html("board_download")}</a></p>'
        f"{_command(VERIFY)}{by_votes}<dl>{facts}</dl>"
    )


def _needs_votes(shown: Rated) -> bool:
    """Whether the counts do not tell all that the table shows."""
    return shown.can_be_raw or shown.options.rating == "elo" or shown.options.interval == "clustered"


def _command(line: str) -> str:
    return f'<pre tabindex="0"><code>{escaped(line)}</code></pre>'


def _table(shown: Rated, panel: str, columns: Sequence[Column], cells: Sequence[Sequence[Cell]], texts: Texts) -> str:
    return table_html(Table(texts(f"board_panel_{panel}"), columns, cells))


def _range(row: CoefficientRow | BiasRow, texts: Texts) -> Cell:
    """In words: a dash beside signs is no dash."""
    return Cell(texts("board_range", low=signed(row.lower, "+.1f"), high=signed(row.upper, "+.1f")), row.lower)


def _interval(shown: Rated, texts: Texts) -> Column:
    return Column(interval_title(texts, shown.options.confidence), True)


def _spoken(name: str) -> str:
    """Names of rules and features are English, in files and here."""
    return name.replace("_", " ").replace("-", " ").capitalize()
