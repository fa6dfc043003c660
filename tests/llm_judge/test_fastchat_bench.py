"""Our own questions keep their shape, and references of reasoning, math and coding are what a computation gives."""

import asyncio
import itertools
import math
import random
import re
import sqlite3
import subprocess
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fastchat.llm_judge.questions import read_questions
from fastchat.llm_judge.records import Question

CATEGORIES = ["writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities"]
QUESTIONS: dict[int | str, Question] = {one.question_id: one for one in read_questions("fastchat_bench").questions}


def asked(id_: int, turn: int = 1) -> str:
    return QUESTIONS[id_].turns[turn - 1]


def reference(id_: int, turn: int) -> str:
    return (QUESTIONS[id_].reference or ())[turn - 1]


def code(text: str, language: str = "python") -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def names_of(*programs: str) -> dict[str, Any]:  # whatever the programs define
    names: dict[str, Any] = {}
    for program in programs:
        exec(program, names)  # our own text, under test
    return names


def output(command: Sequence[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_there_are_ten_questions_of_two_turns_in_each_category() -> None:
    assert [one.category for one in QUESTIONS.values()] == [category for category in CATEGORIES for _ in range(10)]
    assert list(QUESTIONS) == list(range(1001, 1081))
    assert all(len(one.turns) == 2 for one in QUESTIONS.values())


def test_where_there_is_one_truth_each_turn_has_a_reference() -> None:
    counts = Counter(one.category for one in QUESTIONS.values() if one.reference)
    assert counts == {"reasoning": 10, "math": 10, "coding": 10, "extraction": 10, "stem": 8}
    assert all(len(one.reference) == 2 and all(one.reference) for one in QUESTIONS.values() if one.reference)


def test_texts_are_plain_ascii() -> None:
    texts = [text for one in QUESTIONS.values() for text in (*one.turns, *(one.reference or ()))]
    assert all(text.isascii() and text == text.strip() for text in texts)


def test_1021_seats() -> None:
    def seatings(*, ben_is_left_of_fay: bool) -> list[str]:
        found = []
        for order in itertools.permutations(["Ada", "Ben", "Cleo", "Dov", "Eli", "Fay"]):
            ada, ben, cleo, dov, eli, fay = (order.index(name) for name in ["Ada", "Ben", "Cleo", "Dov", "Eli", "Fay"])
            fits = [ada not in (0, 5), dov == ada + 1, ben < cleo, abs(eli - dov) != 1, abs(ben - fay) == 2]
            if all(fits) and abs(cleo - dov) == 1 and (ben < fay or not ben_is_left_of_fay):
                found.append(", ".join(order))
        return found

    (only,) = seatings(ben_is_left_of_fay=True)
    both = seatings(ben_is_left_of_fay=False)
    assert only in reference(1021, 1)
    assert len(both) == 2
    assert all(seating in reference(1021, 2) for seating in both)


def test_1022_knights_and_knaves() -> None:
    cases = list(itertools.product([True, False], repeat=3))
    first = [c for c in cases if c == (c[1] != c[2], not c[0] or c[2], c.count(False) == 1)]
    second = [c for c in cases if c == (c[1] == c[2], not c[0] or c[2], c.count(False) == 2)]
    assert (first, second) == ([(False, True, True)], [])
    assert reference(1022, 1).startswith("Rook is a knave; Sim and Tal are knights.")
    assert reference(1022, 2).startswith("Nothing fits")


@pytest.mark.parametrize(("turn", "second_leaves", "finish"), [(1, 99, 6), (2, 4, 8)])
def test_1023_jobs(turn: int, second_leaves: int, finish: int) -> None:
    hours, needs = {"A": 3, "B": 2, "C": 4, "D": 1, "E": 2}, {"B": "A", "D": "BC", "E": "C"}

    def end_of(order: Iterable[str], shared: dict[str, int]) -> float:
        free, ends = [0, 0], dict.fromkeys(hours, math.inf)  # a job that is not done yet never ends
        for job in order:
            start = max(free[shared[job]], *(ends[one] for one in needs.get(job, "")), 0)
            ends[job] = start + hours[job]
            if ends[job] > (second_leaves if shared[job] else 99):
                return math.inf
            free[shared[job]] = int(ends[job])
        return max(ends.values())

    shares = [dict(zip(hours, who, strict=True)) for who in itertools.product((0, 1), repeat=5)]
    assert min(end_of(order, who) for order in itertools.permutations(hours) for who in shares) == finish
    assert reference(1023, turn).startswith(f"After {finish} hours")


def test_1024_robot() -> None:
    def end_of(program: str) -> tuple[complex, complex]:
        at, ahead, sign = 0j, 1j, 1  # north is the imaginary axis
        for command in program.split():
            if command[0] == "F":
                at += ahead * int(command[1:])
            elif command == "M":
                sign = -sign
            else:
                ahead *= sign * (-1j if command == "R" else 1j)
        return at, ahead

    (program,) = re.findall(r"^F3 .*$", asked(1024), re.MULTILINE)
    assert end_of(program) == (3 + 12j, 1)
    assert end_of(program.replace("M ", "", 1)) == (1 + 12j, -1)
    assert "(3, 12), facing east" in reference(1024, 1)
    assert "(1, 12), facing west" in reference(1024, 2)


def test_1025_bowls() -> None:
    kinds = list(itertools.product([True, False], repeat=4))  # glazed, blue, cracked, for sale

    def follows(*, fourth_fact: bool) -> list[bool]:
        holds = [True] * 4
        for size in range(1, 5):  # a counterexample needs one bowl, and one for fact 3
            for shop in itertools.combinations(kinds, size):
                facts = [
                    all(blue for glazed, blue, _, _ in shop if glazed),
                    not any(cracked and sale for _, _, cracked, sale in shop),
                    any(blue and cracked for _, blue, cracked, _ in shop),
                    not fourth_fact or all(sale for glazed, blue, _, sale in shop if blue and not glazed),
                ]
                if all(facts):
                    a = any(blue and not sale for _, blue, _, sale in shop)
                    b = any(glazed and cracked for glazed, _, cracked, _ in shop)
                    c = not any(glazed and not blue for glazed, blue, _, _ in shop)
                    d = all(glazed for glazed, _, _, sale in shop if sale)
                    holds = [before and now for before, now in zip(holds, (a, b, c, d), strict=True)]
        return holds

    assert follows(fourth_fact=False) == [True, False, True, False]
    assert follows(fourth_fact=True) == [True, True, True, False]
    assert reference(1025, 1).startswith("(a) and (c) follow; (b) and (d) do not")
    assert reference(1025, 2).startswith("(a), (b) and (c) follow; (d) still does not")


@pytest.mark.parametrize(("turn", "airing", "needed", "word"), [(1, 0, 3, "Three"), (2, 15, 4, "Four")])
def test_1026_rooms(turn: int, airing: int, needed: int, word: str) -> None:
    times = re.findall(r"([P-V]) (\d+):(\d+)-(\d+):(\d+)", asked(1026))
    meetings = {name: (int(a) * 60 + int(b), int(c) * 60 + int(d) + airing) for name, a, b, c, d in times}
    at_once = [sum(start <= minute < end for start, end in meetings.values()) for minute in range(24 * 60)]
    assert max(at_once) == needed
    assert reference(1026, turn).startswith(f"{word} rooms")
    plan = dict(re.findall(r"room (\d): ([P-V](?:, [P-V])*)", reference(1026, turn)))
    rooms = [room.split(", ") for room in plan.values()]
    assert sorted(itertools.chain(*rooms)) == list(meetings)
    assert all(meetings[one][1] <= meetings[after][0] for room in rooms for one, after in itertools.pairwise(room))


def test_1027_jugs() -> None:
    def steps_to(litres: int) -> int:
        reached, seen, steps = {(0, 0)}, {(0, 0)}, 0
        while not any(litres in jugs for jugs in reached):
            reached = {after for a, b in reached for after in moves(a, b)} - seen
            seen |= reached
            steps += 1
        return steps

    def moves(a: int, b: int) -> list[tuple[int, int]]:
        there, back = min(a, 7 - b), min(b, 11 - a)
        return [(11, b), (a, 7), (0, b), (a, 0), (a - there, b + there), (a + back, b - back)]

    assert (steps_to(8), steps_to(1)) == (6, 8)
    assert reference(1027, 1).startswith("Six steps")
    assert reference(1027, 2).startswith("Eight steps")


def test_1028_lock() -> None:
    answers = {"415": (1, 0), "630": (0, 2), "246": (1, 1), "089": (0, 1)}

    def answer(code: str, attempt: str) -> tuple[int, int]:
        placed = sum(a == b for a, b in zip(code, attempt, strict=True))
        return placed, len(set(code) & set(attempt)) - placed

    def codes(attempts: Iterable[str]) -> list[str]:
        every = map("".join, itertools.permutations("0123456789", 3))
        return [code for code in every if all(answer(code, one) == answers[one] for one in attempts)]

    assert codes(answers) == ["406"]
    assert [one for one in answers if codes(set(answers) - {one}) == ["406"]] == ["415", "089"]
    assert all(len(codes(two)) > 1 for two in itertools.combinations(answers, 2))
    assert ", ".join(codes(["630", "246"])) in reference(1028, 2)


def test_1029_cake() -> None:
    def false_ones(who: str) -> int:
        return [who == "Bo", who not in ("Ana", "Bo"), who in ("Bo", "Di"), who != "Di"].count(False)

    assert {who: false_ones(who) for who in ("Ana", "Bo", "Cy", "Di")} == {"Ana": 3, "Bo": 1, "Cy": 2, "Di": 2}
    assert reference(1029, 1).startswith("Bo.")


def test_1030_lamps() -> None:
    def lit(*persons: int) -> list[int]:
        return [lamp for lamp in range(1, 61) if sum(lamp % person == 0 for person in persons) % 2]

    assert reference(1030, 1).startswith(f"{len(lit(2, 3, 5))} lamps")
    after = lit(2, 3, 5, 4)
    assert reference(1030, 2).startswith(f"{len(after)} lamps")
    assert ", ".join(str(lamp) for lamp in after if lamp <= 20) + "." in reference(1030, 2)


def test_math() -> None:
    a_and_drain, all_open = Fraction(1, 6) - Fraction(1, 12), Fraction(1, 6) + Fraction(1, 4) - Fraction(1, 12)
    assert 1 / all_open == 3
    assert 3 + (1 - 3 * a_and_drain) / all_open == Fraction(21, 4)

    bag = "r" * 5 + "b" * 4 + "g" * 3
    draws = [(bag[a], bag[b], bag[c]) for a, b, c in itertools.permutations(range(12), 3)]
    alike = [draw for draw in draws if draw[0] == draw[1]]
    assert f"{Fraction(len(alike), len(draws))}" in reference(1032, 1)
    assert f"{Fraction(sum(draw[0] == 'b' for draw in alike), len(alike))}" in reference(1032, 2)
    assert f"{Fraction(sum(draw[2] == 'b' for draw in alike), len(alike))}" in reference(1032, 2)

    triangle = 3 * math.sqrt(3) / 4 * 7.5**2
    assert f"{math.pi * 7.5**2 - 108:.2f}" in reference(1033, 1)
    assert f"{108 - triangle:.2f}" in reference(1033, 2)
    assert [x for x in range(-99, 99) if x**3 - 6 * x**2 + 11 * x - 6 == 0] == [1, 2, 3]
    assert f"{sum(Fraction(1, root + 1) for root in (1, 2, 3))}" in reference(1034, 2)

    numbers = [n for n in range(1, 2000) if (n % 5, n % 7, n % 9) == (2, 3, 4)]
    assert reference(1035, 1).startswith(f"{numbers[0]}.")
    assert all(str(n) in reference(1035, 2) for n in (*numbers, sum(numbers)))
    left = [n for n in range(1, 301) if n % 3 and n % 5]
    sums = dict(zip(left, itertools.accumulate(left), strict=True))
    last = max(n for n in left if sums[n] <= 10_000)
    assert reference(1036, 1) == f"{sum(left)}."
    assert f"{last}; the sum is then {sums[last]}" in reference(1036, 2)

    words = {"".join(letters) for letters in itertools.permutations("PARALLEL")}
    apart = [word for word in words if "LL" not in word]
    assert reference(1038, 1).startswith(str(len(words)))
    assert reference(1038, 2).startswith(str(len(apart)))
    assert f"In {sum('AA' in word for word in apart)} of them" in reference(1038, 2)


def test_1037_box() -> None:
    def best(length: float, width: float) -> float:
        cuts = [step / 1000 for step in range(int(width * 500))]
        return max(cuts, key=lambda x: x * (length - 2 * x) * (width - 2 * x))

    assert (best(24, 15), best(19.5, 19.5)) == (3, 3.25)
    assert f"{(486 - 4 * 16 * 7) / 486 * 100:.2f} percent" in reference(1037, 2)


def test_1039_loan() -> None:
    owed, interest, month = 600_000, 0, 0  # cents
    while owed:
        month += 1
        charged = (owed + 50) // 100
        interest += charged
        paid = min(60_000, owed + charged)
        owed += charged - paid
    assert f"{6000 * 0.01 / (1 - 1.01**-12):.2f}" in reference(1039, 1)
    assert f"month {month}. The last payment is {paid / 100:.2f}" in reference(1039, 2)
    assert f"interest in all is also {interest / 100:.2f}" in reference(1039, 2)


def test_1040_means() -> None:
    lower = Fraction(12 * 74 - 5 * 86, 7)
    assert f"{lower}, about {float(lower):.2f}" in reference(1040, 1)
    assert f"{(12 * 74 + 21) / 12}" in reference(1040, 2)
    assert f"{86 - lower}" in reference(1040, 2)
    assert f"{86 - lower - 3}" in reference(1040, 2)


def test_1041_intervals() -> None:
    names = names_of(code(reference(1041, 1)), code(reference(1041, 2)))
    chance = random.Random(1041)
    for _ in range(500):
        given = [(chance.randint(-3, 12), chance.randint(-3, 12)) for _ in range(chance.randint(0, 5))]
        low, high = chance.randint(-4, 12), chance.randint(-4, 12)
        covered = {x for start, end in given for x in range(start, end)}
        for found, wanted in (
            (names["merge"](given), covered),
            (names["gaps"](given, low, high), set(range(low, high)) - covered),
        ):
            assert {x for start, end in found for x in range(start, end)} == wanted
            assert all(start < end for start, end in found)
            assert all(one[1] < after[0] for one, after in itertools.pairwise(found))


def test_1042_what_is_printed(tmp_path: Path) -> None:
    program = code(asked(1042))
    changed = code(reference(1042, 2)) + program[program.index("\ncounters") :]
    assert reference(1042, 1).startswith(output([sys.executable, "-c", program], tmp_path))
    assert output([sys.executable, "-c", changed], tmp_path) in reference(1042, 2)


def test_1043_search() -> None:
    assert names_of(code(asked(1043)))["first_at_least"]([1, 2], 3) == 1  # the bug, as the reference shows it
    names = names_of(code(reference(1043, 1)), code(reference(1043, 2)))
    chance = random.Random(1043)
    for _ in range(500):
        xs = sorted(chance.choices(range(-5, 6), k=chance.randint(0, 9)))
        low, high = chance.randint(-7, 7), chance.randint(-7, 7)
        assert names["first_at_least"](xs, low) == bisect_left(xs, low)
        assert names["count_between"](xs, low, high) == sum(low <= x <= high for x in xs)


@pytest.mark.parametrize("turn", [1, 2])
def test_1044_queries(turn: int) -> None:
    database = sqlite3.connect(":memory:")
    for table, columns, rows in re.findall(r"^(\w+)(\([\w, ]+\)): (.*)$", asked(1044), re.MULTILINE):
        database.execute(f"CREATE TABLE {table}{columns}")
        database.execute(f"INSERT INTO {table} VALUES {rows.removesuffix('.')}")
    found = database.execute(code(reference(1044, turn), "sql")).fetchall()
    database.close()
    assert "\n".join(", ".join(map(str, row)) for row in found) in reference(1044, turn).split("\n\n")


@pytest.mark.parametrize("turn", [1, 2])
def test_1045_limiter(turn: int) -> None:
    now, chance = [0], random.Random(1045)
    limiter = names_of(code(reference(1045, turn)))["RateLimiter"](3, 10, lambda: now[0])
    allowed: list[tuple[int, int]] = []
    for call in range(3000):
        now[0] += chance.choice((0, 0, 0, 1))
        key = 0 if turn == 1 else chance.choice((0, 1, call))  # most strangers come once
        expected = sum(at > now[0] - 10 and one == key for at, one in allowed[-200:]) < 3
        assert limiter.allow(*[key] if turn == 2 else []) is expected
        allowed += [(now[0], key)] if expected else []
    if turn == 2:
        assert len(limiter.counts) <= len(limiter.allowed) <= sum(at >= now[0] - 10 for at, _ in allowed)


def test_1046_times() -> None:
    first, second = (re.compile(reference(1046, turn).split("\n")[0]) for turn in (1, 2))
    for hour, minute in itertools.product(range(100), repeat=2):
        text = f"{hour:02}:{minute:02}"
        assert bool(first.fullmatch(text)) == bool(second.fullmatch(text)) == (hour < 24 and minute < 60)
        in_range = minute < 60 and (hour, minute) <= (14, 0)
        assert bool(second.fullmatch(f"07:05+{text}")) == bool(second.fullmatch(f"07:05-{text}")) == in_range
    assert first.fullmatch("23:59:59")
    assert second.fullmatch("23:59:59.123-13:59")
    for wrong in (
        "7:05",
        "07:05\n",
        "07:05:",
        "07:05:60",
        "07:05.5",
        "07:05:00.",
        "07:05:00.1234",
        "07:05 Z",
        "07:05ZZ",
    ):
        assert not first.fullmatch(wrong)
        assert not second.fullmatch(wrong)


def test_1047_pairs() -> None:
    slow, fast = names_of(code(asked(1047)))["f"], names_of(code(reference(1047, 2)))["f"]
    chance = random.Random(1047)
    for _ in range(300):
        xs = chance.choices(range(-20, 21), k=chance.randint(0, 12))
        assert slow(xs) == fast(xs)
    assert reference(1047, 1).startswith(f"{slow(range(1, 13))}.")
    assert f"returns {slow([-3, -1, 0, 4, 5, 7, 8])} " in reference(1047, 2)


def test_1048_expressions() -> None:
    first = code(reference(1048, 1))
    second = first.replace("    def atom():", code(reference(1048, 2)) + "\n    def atom():")
    for part in ("value = atom()", "value * atom()", "value / atom()"):
        assert part in first
        second = second.replace(part, part.replace("atom", "signed"))
    plain, extended = names_of(first)["evaluate"], names_of(second)["evaluate"]
    for text in ("1+2*3", "(1+2)*3", "8/4/2", "7-2-1", "2*(3+4)*5", " 10 / (1.5+ 2.5) ", "((2))"):
        assert plain(text) == extended(text) == eval(text.strip())  # our own texts
    for text, value in {"-2^2": -4, "2^3^2": 512, "2^-1": 0.5, "2*-3": -6, "(-2)^2": 4, "1-2^2*3": -11}.items():
        assert extended(text) == value
    for wrong in ("", "(", "1+", "1 2", "(1", "1)", "a", "1..2", "2**3", "()"):
        for evaluate in (plain, extended):
            with pytest.raises(ValueError, match=r".+"):
                evaluate(wrong)


@pytest.mark.parametrize("turn", [1, 2])
def test_1049_pipelines(turn: int, tmp_path: Path) -> None:
    lines = [line for line in asked(1049).split("\n") if line.startswith("2031-")]
    (tmp_path / "access.log").write_text("\n".join(lines) + "\n", "utf-8")
    printed = output(["sh", "-c", code(reference(1049, turn), "sh")], tmp_path).splitlines()
    assert "\n".join(" ".join(line.split()) for line in printed) in reference(1049, turn).split("\n\n")


class Jobs:
    """Ten jobs, the third of which fails; counts how many begin, end and run at once."""

    def __init__(self) -> None:
        self.begun = self.ended = self.most = self.begun_at_failure = 0

    def all(self) -> list[Callable[[], Awaitable[int]]]:
        return [self._job(number) for number in range(10)]

    def _job(self, number: int) -> Callable[[], Awaitable[int]]:
        async def job() -> int:
            self.begun += 1
            self.most = max(self.most, self.begun - self.ended)
            try:
                for _ in range(9 if number > 2 else 1):
                    await asyncio.sleep(0)
                if number == 2:
                    self.begun_at_failure = self.begun
                    raise KeyError(number)
                return number
            finally:
                self.ended += 1

        return job


@pytest.mark.parametrize("turn", [1, 2])
async def test_1050_results_stand_in_order(turn: int) -> None:
    jobs = Jobs()
    results = await names_of(code(reference(1050, turn)))["run_all"](jobs.all(), 3)
    assert jobs.most == 3
    assert isinstance(results.pop(2), KeyError)
    assert results == [0, 1, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("limit", [1, 2, 3, 20])
async def test_1050_the_first_error_stops_everything(limit: int) -> None:
    jobs = Jobs()
    with pytest.raises(KeyError):
        await names_of(code(reference(1050, 2)))["run_all"](jobs.all(), limit, stop_on_error=True)
    assert jobs.begun == jobs.ended == jobs.begun_at_failure
    assert len(asyncio.all_tasks()) == 1
