"""Pages on which a person grades: the question, one answer or two, and a form that works without a script."""

from collections.abc import Iterator, Mapping
from html import escape

from fastchat.llm_judge.matches import criteria_of
from fastchat.llm_judge.site.grading import SIDES, Grading, Task, Verdict, chosen, reason
from fastchat.llm_judge.site.html import folded, name, page, prose

LONGEST_REASON = 20_000
_SIDES = tuple(side for side in SIDES if len(side) == 1)


def grading_page(grading: Grading, at: int, graded: Mapping[int, Verdict], token: str) -> str:
    """`token` shows that the form is ours."""
    task = grading.tasks[at]
    title = f"Question {task.question.question_id}"
    turn = f", turn {task.turn} of {len(task.question.turns)}" if len(task.question.turns) > 1 else ""
    turns = "".join(_turn(task, number, grading) for number in range(1, task.turn + 1))
    return page(
        f"{title} – grading",
        f"<header>{_nav(grading, at)}<h1>{name(title)}</h1>"
        f'<p class="summary">{name(task.question.category)}{turn}</p>{_progress(grading, graded)}</header>'
        f"<main>{turns}{''.join(_criteria(task))}{_form(grading, graded.get(at), token)}</main>",
        script="grade.js",
        has_form=True,
    )


def done_page(grading: Grading, graded: Mapping[int, Verdict]) -> str:
    results = "" if grading.is_blind else ' <a href="../index.html">See what the grades say.</a>'
    return page(
        "All graded",
        f"<header>{_nav(grading, None)}<h1>All graded</h1>{_progress(grading, graded)}</header>"
        f"<main><p>A grade can still be changed; the last one counts.{results}</p></main>",
        script="grade.js",
    )


def _nav(grading: Grading, at: int | None) -> str:
    """Addresses are relative, to `grade/N`."""
    links = [] if grading.is_blind else ['<a href="../index.html">Results</a>']
    if at is None:
        links.append('<a href="1">From the first</a>')
    else:
        links += [f'<a id="previous" href="{at}">Previous</a>'] if at else []
        links += [f'<a id="next" href="{at + 2}">Next</a>'] if at + 1 < len(grading.tasks) else []
        links.append(f'<a id="ungraded" href="next?after={at + 1}">Next without a grade</a>')
    return f"<nav>{''.join(links)}</nav>"


def _progress(grading: Grading, graded: Mapping[int, Verdict]) -> str:
    number = len(grading.tasks)
    said = f"{len(graded):,} of {number:,} graded by {escape(grading.name)}"
    return f'<p class="progress"><progress max="{number}" value="{len(graded)}">{said}</progress> {said}</p>'


def _turn(task: Task, turn: int, grading: Grading) -> str:
    heading = f"<h2>Turn {turn}</h2>" if task.turn > 1 else ""
    answers = "".join(
        f"<article>{_whose(task, side, grading)}{prose(answer.choices[0].turns[turn - 1])}</article>"
        for side, answer in enumerate(task.answers)
    )
    return (
        f'<section>{heading}<div class="asked">{prose(task.question.turns[turn - 1])}</div>'
        f'{_references(task, turn, grading)}<div class="answers">{answers}</div></section>'
    )


def _whose(task: Task, side: int, grading: Grading) -> str:
    model = "" if grading.is_blind else name(task.models[side])
    said = f"{_SIDES[side]} {model}" if len(task.answers) > 1 else model or "Answer"
    tag = "h3" if task.turn > 1 else "h2"  # below the turn's
    return f"<{tag}>{said}</{tag}>"


def _references(task: Task, turn: int, grading: Grading) -> str:
    found = grading.references.get(task.question.question_id, {})
    return "".join(
        folded(f"Reference of {name(whose)}", prose(texts[turn - 1]))
        for whose, texts in found.items()
        if turn <= len(texts) and texts[turn - 1]
    )


def _criteria(task: Task) -> Iterator[str]:
    """Of the question's own, which are about its last turn."""
    texts, is_checklist = criteria_of(task.question)
    if texts and task.turn == len(task.question.turns):
        points = "".join(f"<li>{name(text)}</li>" for text in texts)
        yield f"<h3>{'Checklist' if is_checklist else 'To be graded by'}</h3><ul>{points}</ul>"


def _form(grading: Grading, verdict: Verdict | None, token: str) -> str:
    given = chosen(verdict) if verdict else ""
    is_pair = grading.choices[0] in _SIDES
    keys = {"tie": "t", "10": "0"}
    choices = "".join(
        f'<label><input type="radio" name="choice" value="{choice}" data-key="{keys.get(choice, choice.lower())}" '
        f"required{' checked' * (choice == given)}><span>{_told(choice)}</span></label>"
        for choice in grading.choices
    )
    told = "Which answer is better?" if is_pair else "Grade, from 1 (bad) to 10 (excellent)"
    by_keys = "a, t, b" if is_pair else "1 to 9, 0 for 10"
    said = escape(reason(verdict)) if verdict else ""
    return (
        f'<form class="grade" method="post"><input type="hidden" name="token" value="{token}">'
        f'<fieldset><legend>{told}</legend><div class="choices">{choices}</div></fieldset>'
        f'<label>Reason <textarea name="reason" rows="1" maxlength="{LONGEST_REASON}" dir="auto">{said}</textarea>'
        f'</label><button>Save</button><p class="keys">Keys: {by_keys}; Enter saves (in the reason '
        "Ctrl+Enter); n and p go to the next and to the previous, u to the next without a grade.</p></form>"
    )


def _told(choice: str) -> str:
    return {"A": "A is better", "B": "B is better", "tie": "Tie"}.get(choice, choice)
