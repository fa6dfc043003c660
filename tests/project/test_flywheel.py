"""The story of runs/flywheel_cpu.sh: its parts, and once all of it with next to nothing."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fastchat.arena.leaderboard.board import read_board
from fastchat.arena.simulation.rules import parse_rule
from fastchat.commands import leaderboard
from fastchat.train.alignment_recipe import DpoRecipe
from fastchat.train.recipe import read_recipe

RUNS = Path(__file__).parents[2] / "runs"


def part(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"flywheel_{name}", RUNS / "flywheel" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(name: str) -> set[str]:
    return {json.loads(line)["text"] for line in (RUNS / "data" / name).read_text().splitlines()}


def pair(number: int) -> dict[str, Any]:
    return {"id": str(number), "prompt": "?", "chosen": f"good {number}", "rejected": f"bad {number}", "votes": ["v"]}


def votes_of(rival: str, won: int, lost: int, tied: int) -> list[dict[str, str]]:
    winners = ["model_a"] * won + ["model_b"] * lost + ["tie"] * tied
    return [{"model_a": rival, "model_b": "parent", "winner": winner} for winner in winners]


def board_of(folder: Path, name: str, votes: Sequence[dict[str, str]]) -> Path:
    (folder / "votes.jsonl").write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    leaderboard.main(["build", "--votes", str(folder / "votes.jsonl"), "--output", str(folder / name)])
    return folder / name


def test_no_question_is_both_trained_on_and_held_out() -> None:
    trained, held_out = asked("flywheel_prompts.jsonl"), asked("flywheel_held_out.jsonl")
    assert trained
    assert held_out
    assert not trained & held_out


def test_the_recipe_is_one() -> None:
    recipe = read_recipe(DpoRecipe, str(RUNS / "flywheel" / "recipe.yaml"), ["from_votes=arena"])
    assert "sft" in recipe.losses


def test_the_placebo_has_the_same_pairs_half_of_them_turned_round() -> None:
    pairs = [pair(number) for number in range(41)]
    placebo = part("placebo").turned_round(pairs, 2)
    assert [one["id"] for one in placebo] == [one["id"] for one in pairs]
    assert [{one["chosen"], one["rejected"]} for one in placebo] == [{one["chosen"], one["rejected"]} for one in pairs]
    assert sum(one["chosen"].startswith("bad") for one in placebo) == 20
    assert placebo == part("placebo").turned_round(pairs, 2)
    assert placebo != part("placebo").turned_round(pairs, 3)


def test_the_voter_outside_the_arena_goes_by_the_same_rule_on_either_side() -> None:
    whole, cut = "Rain is water that falls.", "Rain is water that"
    said = {"parent": cut, "tuned": whole, "placebo": cut}
    answers = {model: {str(number): text for number in range(40)} for model, text in said.items()}
    votes = list(part("outside").votes(answers, parse_rule("concise:20"), seed=4))
    of_tuned = [vote for vote in votes if "tuned" in (vote["model_a"], vote["model_b"])]
    sides = {"leftvote": "model_a", "rightvote": "model_b"}
    won = [vote for vote in of_tuned if vote[sides[vote["winner"]]] == "tuned"]
    assert len(of_tuned) == 40
    assert len(won) >= 38  # sharpness 2 and a worth of 3 more: 399 of 400
    assert 8 < sum(vote["model_a"] == "tuned" for vote in of_tuned) < 32
    assert {vote["winner"] for vote in votes if vote not in of_tuned} == {"bothbad_vote"}


def test_the_verdict_follows_from_the_boards(tmp_path: Path) -> None:
    verdict = part("verdict")
    votes = [*votes_of("tuned", 60, 20, 20), *votes_of("placebo", 40, 38, 22)]
    random.Random(0).shuffle(votes)
    tuned, placebo = verdict.leads(read_board(board_of(tmp_path, "board.json", votes)))
    assert (tuned.votes, tuned.won, tuned.lost) == (100, 60, 20)
    assert tuned.points == pytest.approx(400 * 0.3680, abs=0.1)  # log10(70 / 30)
    assert tuned.is_win
    assert tuned.lower < tuned.points < tuned.upper
    assert placebo.lower < 0 < placebo.upper
    found = verdict.verdict({place: [tuned, placebo] for place in verdict.BOARDS})
    assert found["tuned_won_on_held_out"]
    assert found["tuned_won_outside"]
    assert not found["placebo_won_anywhere"]


def test_a_placebo_that_wins_is_said(tmp_path: Path) -> None:
    verdict = part("verdict")
    votes = [*votes_of("tuned", 60, 20, 20), *votes_of("placebo", 60, 20, 20)]
    found = list(verdict.leads(read_board(board_of(tmp_path, "board.json", votes))))
    assert verdict.verdict(dict.fromkeys(verdict.BOARDS, found))["placebo_won_anywhere"]


def flywheel(*flags: str) -> subprocess.CompletedProcess[str]:
    folder = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([RUNS / "flywheel_cpu.sh", *flags], capture_output=True, text=True, env=env, check=False)


def test_a_folder_that_another_plan_began_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"rule": "holds:rain"}')
    done = flywheel("--output", str(tmp_path))
    assert done.returncode == 1
    assert "another plan" in done.stderr


@pytest.mark.full
@pytest.mark.model
@pytest.mark.timeout(900)
def test_the_tiny_story_goes_from_nothing_to_a_verdict_and_is_kept(tmp_path: Path) -> None:
    done = flywheel("--tiny", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "verdict.json").read_text())
    assert found["lineage"]["votes"] == found["lineage"]["in_the_log"] > 0
    assert sum(lead["votes"] for lead in found["boards"]["held-out questions"]) == 6
    assert sum(lead["votes"] for lead in found["boards"]["outside the arena"]) == 6
    again = flywheel("--tiny", "--output", str(tmp_path))
    assert again.returncode == 0
    assert again.stdout.count("finished before") == 7
