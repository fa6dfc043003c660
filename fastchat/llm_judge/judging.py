"""One match, judged: the prompt, the call, the verdict. What cannot be had is a `Failure` with its reason.

A pair is two games with the sides swapped, each asked by itself, since judges favour a side; a list is two with the
order reversed. A reply that nobody can read is asked for again, with another seed and with what was wrong with it.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from fastchat.core.errors import RequestError, UpstreamError
from fastchat.llm_judge import verdicts
from fastchat.llm_judge.asking import Ask, Call
from fastchat.llm_judge.fencing import Fence, Nonce, nonce_of
from fastchat.llm_judge.matches import Match
from fastchat.llm_judge.prompts import JudgePrompts
from fastchat.llm_judge.records import Failure, ListVerdict, PairVerdict, Ranking, SingleVerdict, Verdict, Winner
from fastchat.llm_judge.verdicts import LABELS, ONE_TO_TEN, Side, Unreadable

V = TypeVar("V", float, Side, tuple[bool, ...], Ranking)
_NO_REFERENCE = "(There is none for this turn.)"


@dataclass(frozen=True, slots=True)
class JudgeManner:
    """How judges are asked. Without fences the prompt is FastChat's to the letter, if its prompts are given."""

    attempts: int = 3
    max_tokens: int = 2048
    seed: int = 0
    is_json: bool = False  # for judges that can be held to a schema
    is_fenced: bool = True
    nonce: Nonce = nonce_of


class Prepared(NamedTuple):
    """A game, as it is put to the judge."""

    system_prompt: str
    user_prompt: str


class Heard(NamedTuple, Generic[V]):
    """A reply, and what it says."""

    verdict: V
    user_prompt: str
    judgment: str


class Lost(NamedTuple):
    reason: str
    judgment: str
    attempts: int


async def judge(
    match: Match,
    ask: Ask,
    prompts: JudgePrompts,
    manner: JudgeManner = JudgeManner(),
    *,
    clock: Callable[[], float] = time.time,
) -> Verdict | Failure:
    """What `ask` raises of a request or a server ends as a failure; other errors concern the whole run and go on."""
    judged: Verdict | Failure
    if match.prompt.type == "list":
        judged = await judge_list(match, ask, prompts, manner)
    else:
        judged = await (judge_single if len(match.answers) == 1 else judge_pair)(match, ask, prompts, manner)
    return judged.model_copy(update={"tstamp": clock()})


async def judge_single(
    match: Match, ask: Ask, prompts: JudgePrompts, manner: JudgeManner = JudgeManner()
) -> SingleVerdict | Failure:
    game = prepare(match, prompts, manner)
    if match.prompt.output_format == "[[yes]]":
        ticked = await _hear(
            match, game, ask, prompts, manner, partial(verdicts.read_points, count=len(match.criteria))
        )
        if isinstance(ticked, Lost):
            return _failure(match, ticked)
        points = list(ticked.verdict)
        return _rated(match, ticked, ONE_TO_TEN.at(sum(points) / len(points))).model_copy(update={"points": points})
    rated = await _hear(match, game, ask, prompts, manner, verdicts.read_rating)
    return _failure(match, rated) if isinstance(rated, Lost) else _rated(match, rated, rated.verdict)


async def judge_pair(
    match: Match, ask: Ask, prompts: JudgePrompts, manner: JudgeManner = JudgeManner()
) -> PairVerdict | Failure:
    read = verdicts.read_winner if match.prompt.output_format == "[[A]]" else verdicts.read_two_ratings
    heard = await _hear_both(match, ask, prompts, manner, read)
    if isinstance(heard, Lost):
        return _failure(match, heard)
    first, second = heard
    return PairVerdict(
        question_id=match.question.question_id,
        model_1=match.models[0],
        model_2=match.models[1],
        g1_winner=_winner(first.verdict, Winner.MODEL_1, Winner.MODEL_2),
        g2_winner=_winner(second.verdict, Winner.MODEL_2, Winner.MODEL_1),
        judge=(match.judge, match.prompt.name),
        g1_user_prompt=first.user_prompt,
        g1_judgment=first.judgment,
        g2_user_prompt=second.user_prompt,
        g2_judgment=second.judgment,
        turn=match.turn,
    )


async def judge_list(
    match: Match, ask: Ask, prompts: JudgePrompts, manner: JudgeManner = JudgeManner()
) -> ListVerdict | Failure:
    heard = await _hear_both(match, ask, prompts, manner, partial(verdicts.read_ranking, count=len(match.answers)))
    if isinstance(heard, Lost):
        return _failure(match, heard)
    first, second = heard
    return ListVerdict(
        question_id=match.question.question_id,
        models=match.models,
        g1_ranking=_named(first.verdict, match.models),
        g2_ranking=_named(second.verdict, match.models[::-1]),
        judge=(match.judge, match.prompt.name),
        g1_user_prompt=first.user_prompt,
        g1_judgment=first.judgment,
        g2_user_prompt=second.user_prompt,
        g2_judgment=second.judgment,
        turn=match.turn,
    )


def prepare(match: Match, prompts: JudgePrompts, manner: JudgeManner, is_swapped: bool = False) -> Prepared:
    """What the judge is told before anything went wrong."""
    said = [answer.choices[0].turns[: match.turn] for answer in match.answers]
    if is_swapped:
        said.reverse()
    questions = match.question.turns[: match.turn]
    fence = Fence(manner.nonce([*questions, *(text for turns in said for text in turns)]))
    shown = [[fence.around(text) for text in turns] for turns in said] if manner.is_fenced else said
    system, user = [match.prompt.system_prompt], [_filled(match, questions, shown)]
    if manner.is_fenced:
        system.append(prompts.note("fence", begin=fence.begin, end=fence.end))
        user.append(prompts.note("closing"))
    if manner.is_json:
        user.append(prompts.note("closing-json", schema=json.dumps(_schema(match))))
    return Prepared("\n\n".join(filter(None, system)), "\n\n".join(user))


async def _hear_both(
    match: Match, ask: Ask, prompts: JudgePrompts, manner: JudgeManner, read: Callable[[str], V | Unreadable]
) -> tuple[Heard[V], Heard[V]] | Lost:
    """As the answers stand, and swapped."""
    games: list[Heard[V]] = []
    for is_swapped in (False, True):
        heard = await _hear(match, prepare(match, prompts, manner, is_swapped), ask, prompts, manner, read)
        if isinstance(heard, Lost):  # then the other game would be paid for in vain
            return heard._replace(reason=f"game {1 + is_swapped}: {heard.reason}")
        games.append(heard)
    first, second = games
    return first, second


async def _hear(
    match: Match,
    game: Prepared,
    ask: Ask,
    prompts: JudgePrompts,
    manner: JudgeManner,
    read: Callable[[str], V | Unreadable],
) -> Heard[V] | Lost:
    user_prompt, text, reason = game.user_prompt, "", ""
    for attempt in range(manner.attempts):
        if attempt:
            user_prompt = game.user_prompt + "\n\n" + prompts.note("reminder", reason=reason)
        messages = ({"role": "system", "content": game.system_prompt}, {"role": "user", "content": user_prompt})
        call = Call(
            match.judge,
            messages if game.system_prompt else messages[1:],
            max_tokens=manner.max_tokens,
            seed=manner.seed + attempt,
            schema=_schema(match) if manner.is_json else None,
        )
        try:
            reply = await ask(call)
        except (RequestError, UpstreamError) as error:
            return Lost(error.message, text, attempt + 1)
        text, verdict = reply.text, read(reply.text)
        if not isinstance(verdict, Unreadable):
            return Heard(verdict, user_prompt, text)
        reason = verdict.reason
        if reply.finish_reason == "length":
            reason += f", and it was cut off after {manner.max_tokens} tokens"
    return Lost(f"the reply cannot be read: {reason}", text, manner.attempts)


def _filled(match: Match, questions: Sequence[str], sides: Sequence[Sequence[str]]) -> str:
    """The prompt with all that a prompt may show; one names only some of it."""
    reference = [text or _NO_REFERENCE for text in match.reference] or [_NO_REFERENCE] * match.turn
    criteria = "\n".join(f"{number}. {text}" for number, text in enumerate(match.criteria, 1))
    values = {"question": questions[-1], "ref_dialogue": _dialogue(questions, reference), "criteria": criteria}
    values |= {f"question_{turn}": text for turn, text in enumerate(questions, 1)}
    values |= {f"ref_answer_{turn}": text for turn, text in enumerate(reference, 1)}
    if match.prompt.type == "list":
        dialogues = [_dialogue(questions, turns) for turns in sides]
        values |= {"answers": _labelled("Answer of", (turns[-1] for turns in sides))}
        return match.prompt.prompt_template.format(**values, dialogues=_labelled("Conversation with", dialogues))
    names = ("",) if len(sides) == 1 else ("_a", "_b")
    for name, turns in zip(names, sides, strict=True):
        values |= {f"answer{name}": turns[-1], f"dialogue{name}": _dialogue(questions, turns)}
        values |= {f"answer{name}_{turn}": text for turn, text in enumerate(turns, 1)}
    return match.prompt.prompt_template.format(**values)


def _dialogue(questions: Sequence[str], answers: Sequence[str]) -> str:
    return "\n\n".join(
        f"## Question {turn}\n{question}\n\n## Answer {turn}\n{answer}"
        for turn, (question, answer) in enumerate(zip(questions, answers, strict=False), 1)
    )


def _labelled(title: str, texts: Iterable[str]) -> str:
    return "\n\n".join(f"# {title} Assistant {label}\n\n{text}" for label, text in zip(LABELS, texts, strict=False))


def _schema(match: Match) -> Mapping[str, Any]:
    match match.prompt.output_format:
        case "[[rating]]":
            return verdicts.rating_schema()
        case "[[A]]":
            return verdicts.winner_schema()
        case "[[rating_a,rating_b]]":
            return verdicts.two_ratings_schema()
        case "[[yes]]":
            return verdicts.points_schema(len(match.criteria))
        case "[[A > B = C]]":
            return verdicts.ranking_schema(len(match.answers))
        case None:
            raise AssertionError("only notes have no format, and a note judges nothing")


def _rated(match: Match, heard: Heard[Any], score: float) -> SingleVerdict:
    return SingleVerdict(
        question_id=match.question.question_id,
        model=match.models[0],
        judge=(match.judge, match.prompt.name),
        user_prompt=heard.user_prompt,
        judgment=heard.judgment,
        score=score,
        turn=match.turn,
    )


def _winner(side: Side, a: Winner, b: Winner) -> Winner:
    return {Side.A: a, Side.B: b, Side.TIE: Winner.TIE}[side]


def _named(ranking: Ranking, models: Sequence[str]) -> Ranking:
    return tuple(tuple(sorted(models[LABELS.index(label)] for label in place)) for place in ranking)


def _failure(match: Match, lost: Lost) -> Failure:
    return Failure(
        question_id=match.question.question_id,
        models=match.models,
        judge=(match.judge, match.prompt.name),
        turn=match.turn,
        reason=lost.reason,
        judgment=lost.judgment,
        attempts=lost.attempts,
    )
