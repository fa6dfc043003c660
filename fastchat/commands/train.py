"""`fastchat train`: tune a model by a recipe, and see beforehand what would be learned.

Under `torchrun --nproc_per_node=N -m fastchat train …` the same line trains with several processes.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fastchat.commands import train_align, train_preview
from fastchat.commands.train_errors import file_errors
from fastchat.core import actions, logs
from fastchat.core.errors import SetupError
from fastchat.train.machine import is_first_process, this_machine
from fastchat.train.prerequisites import check_libraries, quiet_libraries
from fastchat.train.recipe import LoraRecipe, SftRecipe, read_recipe, shipped

if TYPE_CHECKING:
    from fastchat.train.win_rate import Judge

DESCRIPTION = "Tune models on conversations, by recipes."


class Action(NamedTuple):
    summary: str
    run: Callable[[str, Sequence[str]], None]  # gets the name it goes by, and what stands behind that


def main(argv: Sequence[str] | None = None) -> None:
    """
    Raises:
        SetupError: what its user has to mend.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    known = _actions()
    if not given or given[0] not in known:
        _overview(known).parse_args(given)
    known[given[0]].run(f"fastchat train {given[0]}", given[1:])


def _actions() -> Mapping[str, Action]:
    return {
        "sft": Action("tune a model", partial(_tune, SftRecipe)),
        "lora": Action("tune an adapter beside a model: LoRA, DoRA, QLoRA", partial(_tune, LoraRecipe)),
        "dpo": Action("tune a model by votes: what won becomes likelier", partial(train_align.align, "dpo", _say)),
        "kto": Action("the same by wanted and unwanted answers, also ties", partial(train_align.align, "kto", _say)),
        "reward": Action("train a model that rates answers, by votes", partial(train_align.align, "reward", _say)),
        "preferences": Action("show and write what would be learned from votes", train_align.preferences),
        "preview": Action("show what would be learned, and what that would take", _preview),
    }


def _overview(known: Mapping[str, Action]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat train", description=DESCRIPTION)
    choices = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, action in known.items():
        choices.add_parser(name, help=action.summary)
    return parser


def _tune(kind: type[SftRecipe], prog: str, given: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Train as the recipe says. A folder with checkpoints is gone on with.",
        epilog=f"Shipped are the recipes {', '.join(shipped())}. docs/training.md has all keys.",
    )
    parser.add_argument("recipe", metavar="CONFIG.yaml", help="a file, or the name of a recipe that is shipped")
    parser.add_argument("values", metavar="key=value", nargs="*", help="over the recipe's: data=talks.json lora.rank=4")
    flags = parser.parse_args(given)
    recipe = read_recipe(kind, flags.recipe, flags.values)
    check_libraries()
    logs.configure("WARNING")
    quiet_libraries()
    from fastchat.train.recipe_plan import plan_of

    plan = plan_of(recipe, this_machine(), os.environ)
    judge = _judge(recipe)
    with file_errors():
        if recipe.loop == "torch":
            from fastchat.train.sharded import tune_sharded

            output = tune_sharded(plan, _say)
        else:
            from fastchat.train.tuning import tune

            output = tune(plan, _say, judge)
    _say(f"finished. Serve it with: fastchat worker --model-path {output}")


def _judge(recipe: SftRecipe) -> "Judge | None":
    if recipe.judge is None:
        return None
    if recipe.loop == "torch":
        raise SetupError("judge: `loop: torch` measures nothing while it trains. Leave one of them out.")
    from fastchat.commands.train_judge import judge_of

    return judge_of(recipe.judge, recipe.output / "judge", _say)


def _say(note: str) -> None:
    if is_first_process():
        print(f"fastchat: {note}", flush=True)


def _preview(prog: str, given: Sequence[str]) -> None:
    action = actions.Action(train_preview.PreviewSettings, train_preview.preview, _actions()["preview"].summary)
    actions.run_action("fastchat train", DESCRIPTION, {"preview": action}, ["preview", *given])
