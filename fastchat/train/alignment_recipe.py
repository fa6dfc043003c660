"""Recipes of preference tuning: those of supervised tuning, with votes or preferences in place of conversations."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from fastchat.core.errors import MissingPackage
from fastchat.train.alignment_plan import AlignmentPlan, Lessons, Method
from fastchat.train.machine import Machine
from fastchat.train.preference_rules import Choice
from fastchat.train.recipe import Files, LoraSection, SftRecipe
from fastchat.train.recipe_plan import plan_of


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


class AlignRecipe(SftRecipe):
    """`lora: null` tunes all weights, beside a second copy of the model that it is compared with."""

    method: ClassVar[Method]
    config: ClassVar[str]  # of TRL

    model: str = Field("builtin", description="a folder, a name on the hub, or `builtin`")
    data: Files = Field((), description="files of preferences (TRL's forms, LLaMA-Factory's, Anthropic's HH)")
    from_votes: Texts = Field((), description="an arena's database, or files of votes with conversations")
    arena: str = Field("default", description="the arena of the database")
    votes: Choice = Field(Choice(), description="which votes are learned from")
    held_out: float = Field(
        0.1, ge=0, lt=1, description="share of questions that are never trained on, by their digest"
    )
    lora: LoraSection | None = LoraSection()
    merge: bool = Field(False, description="put the adapter into its base, so that the folder is a whole model")
    max_length: int = Field(1024, ge=8, description="tokens of prompt and answer; what is behind them is cut off")
    epochs: float = Field(1.0, gt=0)
    global_batch: int = Field(16, ge=1, description="pairs (or rated answers) an update learns from, on all devices")
    per_device_batch: int = Field(4, ge=1, description="of these, how many a device takes at once")
    learning_rate: float = Field(5e-5, gt=0)

    @model_validator(mode="after")
    def _goes_together(self) -> "AlignRecipe":
        if not (self.data or self.from_votes):
            raise ValueError(
                "there is nothing to learn from. Give --from-votes DATABASE|FILE, or data=FILE of preferences"
            )
        if self.merge and self.lora and self.lora.quantize:
            raise ValueError(
                "merge: a base in 4 bits takes no adapter in. Merge into the whole one: fastchat weights apply-lora"
            )
        if self.judge is not None:
            raise ValueError("judge: asks while sft and lora train. Here, battles and fastchat bench tell afterwards")
        if self.loop != "trainer":
            raise ValueError("loop: preferences are tuned by TRL, which has one loop, trainer")
        return self

    @property
    def trl(self) -> Mapping[str, Any]:
        """Fields of TRL's configuration that other methods do not have."""
        return {}

    @staticmethod
    def check_packages() -> None:
        """
        Raises:
            MissingPackage: TRL is not installed.
        """
        if find_spec("trl") is None:
            raise MissingPackage("trl", "align", "Tuning by preferences")

    def plan(self, lessons: Lessons, machine: Machine, environ: Mapping[str, str]) -> AlignmentPlan:
        """
        Raises:
            SetupError: see `recipe_plan.plan_of`.
        """
        import trl

        own = {
            "max_length": self.max_length,
            "gradient_checkpointing": self.checkpoint_activations,
            "eval_strategy": "no",  # it is measured once, at the end
            "eval_on_start": False,
            **self.trl,
        }
        training = plan_of(self, machine, environ, getattr(trl, self.config), **own)
        return AlignmentPlan(self.method, training, lessons, self.merge)


class DpoRecipe(AlignRecipe):
    method = "dpo"
    config = "DPOConfig"

    beta: float = Field(0.1, gt=0, description="how much it costs to leave the model it began as")
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="share of the votes that are thought to be mistakes")
    # Answers that the model did not write itself become likelier only against one another by the first loss alone; the
    # second makes them likelier at all, which is what a voter sees.
    losses: Texts = Field(("sigmoid", "sft"), description="of TRL's DPO trainer, added up")
    loss_weights: tuple[float, ...] = (1.0, 1.0)

    @property
    def trl(self) -> Mapping[str, Any]:
        return {
            "beta": self.beta,
            "label_smoothing": self.label_smoothing,
            "loss_type": list(self.losses),
            "loss_weights": list(self.loss_weights),
        }


class KtoRecipe(AlignRecipe):
    method = "kto"
    config = "KTOConfig"

    beta: float = Field(0.1, gt=0, description="how much it costs to leave the model it began as")
    wanted_weight: float = Field(1.0, gt=0, description="of answers that are wanted")
    unwanted_weight: float = Field(1.0, gt=0, description="of answers that are not")
    per_device_batch: int = Field(
        4, ge=2, description="answers a device takes at once; each is compared with another's"
    )

    @property
    def trl(self) -> Mapping[str, Any]:
        return {
            "beta": self.beta,
            "desirable_weight": self.wanted_weight,
            "undesirable_weight": self.unwanted_weight,
        }


class RewardRecipe(AlignRecipe):
    method = "reward"
    config = "RewardConfig"

    centre: float | None = Field(0.01, ge=0, description="keeps rewards near 0; null: they may drift")

    @property
    def trl(self) -> Mapping[str, Any]:
        return {"center_rewards_coefficient": self.centre}


RECIPES: Mapping[Method, type[AlignRecipe]] = {"dpo": DpoRecipe, "kto": KtoRecipe, "reward": RewardRecipe}
