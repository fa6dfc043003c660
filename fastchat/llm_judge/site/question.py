"""A page of one question: turn by turn what was asked, the answers side by side, and what judges said of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fastchat.llm_judge.matches import FAILED_ANSWER
from fastchat.llm_judge.records import ListVerdict, PairVerdict, Ranking, SingleVerdict, Winner
from fastchat.llm_judge.results.games import BY_HAND, is_by_hand, is_readable
from fastchat.llm_judge.results.scores import FAILED
from fastchat.llm_judge.site.html import folded, name, page, prose, select
from fastchat.llm_judge.site.reading import Asked, winner
from fastchat.llm_judge.verdicts import LABELS


@dataclass(frozen=True, slots=True)
class Links:
    """From the page of a question to others."""

    index: str
    before: str | None
    after: str | None


def question_page(bench: str, asked: Asked, numbers: Mapping[str, int], links: Links) -> str:
    """`numbers` are those of the models, the same on every page."""
    title = f"Question {asked.id}"
    turns = "".join(_Turn(asked, turn, numbers).html() for turn in asked.turns)
    return page(
        f"{title} – {bench}",
        f'<header><nav>{_nav(bench, links)}</nav><h1>{name(title)}</h1><p class="summary">{name(asked.category)}</p>'
        f"</header>{_controls(asked, numbers)}<main>{turns}</main>",
    )


def _nav(bench: str, links: Links) -> str:
    around = (("Previous", links.before), ("Next", links.after))
    return f'<a href="{links.index}">{name(bench)}</a>' + "".join(
        f'<a href="{link}">{text}</a>' for text, link in around if link
    )


def _controls(asked: Asked, numbers: Mapping[str, int]) -> str:
    options = [(str(numbers[model]), model) for model in asked.models]
    if len(options) < 2:
        return ""
    one, other = select("model", "Model", "all", options), select("other", "Beside it", "–", options)
    return f'<form class="controls" aria-label="Whose answers">{one}{other}</form>'


@dataclass(frozen=True, slots=True)
class _Turn:
    asked: Asked
    turn: int
    numbers: Mapping[str, int]

    def html(self) -> str:
        many = len(self.asked.turns) > 1
        answers = "".join(f"<article{self._of(model)}>{self._card(model)}</article>" for model in self.asked.models)
        pairs, lists = "".join(self._pairs()), "".join(self._lists())
        return (
            f"<section>{f'<h2>Turn {self.turn}</h2>' if many else ''}{self._question()}{''.join(self._references())}"
            f'<div class="answers">{answers}</div>{f"<h3>Compared</h3>{pairs}" if pairs else ""}'
            f"{f'<h3>Ranked</h3>{lists}' if lists else ''}{''.join(self._failures())}</section>"
        )

    def _question(self) -> str:
        question = self.asked.question
        if question is None:
            return "<p>The question is not in the folder.</p>"
        text = _at(question.turns, self.turn)
        return "" if text is None else f'<div class="asked">{prose(text)}</div>'

    def _references(self) -> Iterator[str]:
        for whose, texts in self.asked.references.items():
            text = _at(texts, self.turn)
            if text:
                yield folded(f"Reference of {name(whose)}", prose(text))

    def _card(self, model: str) -> str:
        verdicts = [row for row in self.asked.single if row.model == model and row.turn == self.turn]
        scores = "".join(f'<span class="tag">{name(row.judge[0])} <b>{_score(row)}</b></span>' for row in verdicts)
        said = "".join(self._reason(row) for row in verdicts)
        return f"<h3>{name(model)}{scores}</h3>{self._answer(model)}{said}"

    def _answer(self, model: str) -> str:
        answer = self.asked.answers.get(model)
        choices = [_at(choice.turns, self.turn) for choice in answer.choices] if answer else []
        first, *others = choices or [None]
        if first == FAILED_ANSWER:
            shown = "<p>The model could not be asked.</p>"
        else:
            shown = "<p>The answer is not in the folder.</p>" if first is None else prose(first)
        more = (folded(f"Choice {at}, not judged", prose(text)) for at, text in enumerate(others, 2) if text)
        return shown + "".join(more)

    def _reason(self, row: SingleVerdict) -> str:
        seen = self._prompt(row.user_prompt, row.model)
        return folded(
            f"Why {name(row.judge[0])} gives {_score(row)}", f"{_by(row.judge[1])}{prose(row.judgment)}{seen}"
        )

    def _pairs(self) -> Iterator[str]:
        for row in self.asked.pairs:
            if row.turn != self.turn:
                continue
            sides = (row.model_1, row.model_2)
            summary = f"{name(sides[0])} and {name(sides[1])}, {name(row.judge[0])}: <b>{_result(row)}</b>"
            inside = f'{_by(row.judge[1])}<div class="answers">{self._games(row)}</div>'
            yield f"<div{self._of(*sides)}>{folded(summary, inside)}</div>"

    def _games(self, row: PairVerdict) -> str:
        sides = (row.model_1, row.model_2)
        first = self._game(sides, _named(row, row.g1_winner), row.g1_judgment, row.g1_user_prompt)
        if is_by_hand(row):
            return first
        return first + self._game(sides[::-1], _named(row, row.g2_winner), row.g2_judgment, row.g2_user_prompt)

    def _lists(self) -> Iterator[str]:
        for row in self.asked.lists:
            if row.turn == self.turn:
                first = self._ranked(row.models, row.g1_ranking, row.g1_judgment, row.g1_user_prompt)
                second = self._ranked(row.models[::-1], row.g2_ranking, row.g2_judgment, row.g2_user_prompt)
                inside = f'{_by(row.judge[1])}<div class="answers">{first}{second}</div>'
                yield f"<div{self._of(*row.models)}>{folded(_list_summary(row), inside)}</div>"

    def _ranked(self, shown: tuple[str, ...], ranking: Ranking, judgment: str, prompt: str) -> str:
        """`shown` are the models as they stood, A first."""
        stood = ", ".join(f"{label} {name(model)}" for label, model in zip(LABELS, shown, strict=False))
        seen = self._prompt(prompt, *shown)
        return f"<div><p>{stood}: <b>{_order(ranking)}</b></p>{prose(judgment)}{seen}</div>"

    def _game(self, sides: tuple[str, ...], won: str, judgment: str, prompt: str) -> str:
        """`won` is HTML; who is first in `sides` stood as A."""
        seen = self._prompt(prompt, *sides)
        return f"<div><p>A {name(sides[0])}, B {name(sides[1])}: <b>{won}</b></p>{prose(judgment)}{seen}</div>"

    def _failures(self) -> Iterator[str]:
        for row in self.asked.failures:
            if row.turn == self.turn:
                models = " and ".join(map(name, row.models))
                said = prose(row.judgment) if row.judgment else ""
                told = f"<p>No verdict of {name(row.judge[0])} on {models}: {name(row.reason)}</p>"
                yield f'<div class="failure"{self._of(*row.models)}>{told}{said}</div>'

    def _prompt(self, prompt: str, *models: str) -> str:
        """What the judge was shown, which matters where an answer is found nowhere else."""
        if not prompt or all(model in self.asked.answers for model in models):
            return ""
        return folded("What the judge read", prose(prompt))

    def _of(self, *models: str) -> str:
        return f' data-models="{" ".join(str(self.numbers[model]) for model in models)}"'


def _at(texts: tuple[str, ...], turn: int) -> str | None:
    return texts[turn - 1] if 1 <= turn <= len(texts) else None


def _by(prompt: str) -> str:
    told = "By hand" if prompt == BY_HAND else f"By the prompt {name(prompt)}"
    return f'<p class="soft">{told}</p>'


def _score(row: SingleVerdict) -> str:
    return "no score" if row.score == FAILED else f"{row.score:g}"


def _list_summary(row: ListVerdict) -> str:
    first, second = _order(row.g1_ranking), _order(row.g2_ranking)
    found = f"<b>{first}</b> in both orders" if first == second else f"<b>{first}</b>, then <b>{second}</b>"
    return f"{name(row.judge[0])}: {found}"


def _order(ranking: Ranking) -> str:
    return " &gt; ".join(" = ".join(map(name, sorted(place))) for place in ranking)


def _named(row: PairVerdict, won: str) -> str:
    models = {Winner.MODEL_1: row.model_1, Winner.MODEL_2: row.model_2}
    found = {each.value: name(model) for each, model in models.items()}
    return f"{found[won]} wins" if won in found else "tie" if won == Winner.TIE else "no verdict"


def _result(row: PairVerdict) -> str:
    if not is_readable(row):
        return "no verdict"
    best = winner(row)
    if is_by_hand(row):
        return _named(row, row.g1_winner)
    if best is not None:
        return f"{name(best)} wins in both orders"
    return "tie in both orders" if row.g1_winner == row.g2_winner else "tie, as the two games differ"
