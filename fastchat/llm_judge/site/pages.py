"""The pages of a bench by their names, made when they are asked for; and written, as a site that needs no server."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.llm_judge.site.html import MARK
from fastchat.llm_judge.site.index import index_page
from fastchat.llm_judge.site.plots import can_draw, plots, plots_page
from fastchat.llm_judge.site.question import Links, question_page
from fastchat.llm_judge.site.reading import Bench

INDEX, _PLOTS, _QUESTIONS = "index.html", "plots.html", "questions"


@dataclass(frozen=True, slots=True)
class Site:
    bench: Bench
    can_grade: bool = False  # there is a page for it beside these
    _places: dict[str, int] = field(init=False, default_factory=dict)  # of questions, by file

    def __post_init__(self) -> None:
        self._places.update({f"{_QUESTIONS}/{_file(at)}": at for at in range(len(self.bench.asked))})

    @property
    def _plots(self) -> str:
        """Empty: there is nothing to draw, or nothing to draw it with."""
        report = self.bench.report
        return _PLOTS if report and can_draw() and any(plots(report)) else ""

    @property
    def names(self) -> Iterator[str]:
        yield INDEX
        if self._plots:
            yield _PLOTS
        yield from self._places

    def page(self, name: str) -> str | None:
        """None: there is no such page."""
        if name == INDEX:
            return index_page(self.bench, list(self._places), plots=self._plots, can_grade=self.can_grade)
        if name == _PLOTS and self._plots and self.bench.report:
            return plots_page(self.bench.report, INDEX)
        at = self._places.get(name)
        return None if at is None else self._question(at)

    def _question(self, at: int) -> str:
        before = _file(at - 1) if at else None
        after = _file(at + 1) if at + 1 < len(self._places) else None
        numbers = {model: number for number, model in enumerate(self.bench.models)}
        return question_page(self.bench.name, self.bench.asked[at], numbers, Links(f"../{INDEX}", before, after))


def _file(at: int) -> str:
    """Ids are anybody's words, and not all of them are names of files: a question goes by its place."""
    return f"{at + 1:04}.html"


def write_site(bench: Bench, folder: Path) -> int:
    """How many pages. Ours that are there are replaced, and those of questions that are no more are removed.

    Raises:
        SetupError: a page of somebody else stands there.
        OSError: it cannot be written.
    """
    site = Site(bench)
    written = [folder / name for name in site.names]
    if foreign := next((file for file in written if file.exists() and not _is_ours(file)), None):
        raise SetupError(f"{foreign} is there already, and no page of ours. Name another folder with --output.")
    (folder / _QUESTIONS).mkdir(parents=True, exist_ok=True)
    for name, file in zip(site.names, written, strict=True):
        file.write_text(site.page(name) or "", "utf-8", errors="replace")
    for file in set((folder / _QUESTIONS).glob("*.html")) - set(written):
        if _is_ours(file):
            file.unlink()
    return len(written)


def _is_ours(file: Path) -> bool:
    return MARK in file.read_text("utf-8", errors="replace")[:500]
