"""A recipe: a YAML file that describes a training run, with `key=value` on the command line over it.

    model: meta-llama/Llama-2-7b-hf
    data: [playground/data/dummy.json]
    lora: {rank: 16, targets: all-linear}

Everything has a default but model and data; what is wrong is said with its line.
"""

import difflib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fastchat.core.errors import SetupError
from fastchat.core.yaml_places import line_of
from fastchat.train.plan import Scaling


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Files: TypeAlias = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class LoraSection(_Section):
    rank: int = Field(8, ge=1, description="width of the adapter's matrices")
    alpha: float = Field(16, gt=0, description="the adapter counts alpha / rank")
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: tuple[str, ...] | Literal["all-linear"] = Field("all-linear", description="names of layers")
    bias: Literal["none", "all", "lora_only"] = "none"
    dora: bool = Field(False, description="directions and magnitudes apart (arXiv 2402.09353)")
    quantize: Literal["nf4"] | None = Field(None, description="the base in 4 bits (QLoRA)")
    begin_with: str | None = Field(None, description="an adapter's folder")


class JudgeSection(_Section):
    """Who wins while training: the tuned model, or the base."""

    by: str = Field(description="a model that is asked, or a simulated voter's rule: rule:concise:40, rule:holds:TEXT")
    questions: Files = Field((), description="files of prompts; without any, conversations that are held out")
    count: int = Field(50, ge=1, description="questions")
    every: int | None = Field(None, ge=1, description="updates; without it at each evaluation")
    max_tokens: int = Field(256, ge=1, description="of an answer")
    batch: int = Field(8, ge=1, description="questions answered at once")
    api_url: str | None = Field(None, description="server of the judge")
    budget: float | None = Field(None, ge=0, description="US dollars, of all runs into the folder")
    prices: Path | None = Field(None, description="TOML file of prices, read before ours")


class Recipe(_Section):
    """What all methods share."""

    model: str = Field(description="a folder, a name on the hub, or `builtin`")
    data: Files = Field(min_length=1, description="files of conversations")
    output: Path = Field(Path("output"), description="folder of the tuned model; one with checkpoints is gone on with")
    eval_data: Files = ()
    held_out: float = Field(0.0, ge=0, lt=1, description="share of conversations kept back to measure the loss on")
    conv_template: str | None = Field(None, description="a prompt format; without it the model's own")
    max_length: int = Field(2048, ge=8, description="tokens of a row")
    packing: bool = Field(True, description="several conversations in a row, none of which sees another")
    scaling: Scaling = Field("linear", description="of positions, where rows are longer than the model's")
    attention: str | None = Field(None, description="of transformers; without it what suits packed rows")
    trust_remote_code: bool = False
    epochs: float = Field(3.0, gt=0)
    max_steps: int | None = Field(None, ge=1, description="updates, whatever the epochs")
    global_batch: int = Field(128, ge=1, description="conversations an update learns from, on all devices together")
    per_device_batch: int = Field(1, ge=1, description="rows a device takes at once")
    learning_rate: float = Field(2e-5, gt=0)
    schedule: str = Field("cosine", description="of the learning rate, as transformers names them")
    warmup: float = Field(0.03, ge=0, description="a share of the updates, or their number")
    weight_decay: float = Field(0.0, ge=0)
    precision: Literal["bf16", "fp16", "fp32"] = Field("bf16", description="that is computed in; weights stay float32")
    loop: Literal["trainer", "torch"] = Field("trainer", description="torch: FSDP2 without Trainer, on GPUs and CPUs")
    sharding: Literal["none", "fsdp"] = Field("none", description="fsdp: each GPU keeps a part of model and optimizer")
    checkpoint_activations: bool = Field(False, description="compute them twice instead of keeping them")
    compile: bool = Field(False, description="by torch.compile")
    liger: bool = Field(False, description="Liger's kernels; needs a GPU")
    log_every: int = Field(1, ge=1, description="updates")
    save_every: int = Field(500, ge=1, description="updates between checkpoints")
    keep: int | None = Field(2, ge=1, description="checkpoints")
    seed: int = 42
    report_to: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field((), description="trackers of transformers")
    arguments: dict[str, Any] = Field({}, description="further fields of transformers' TrainingArguments")


class SftRecipe(Recipe):
    """`fastchat train sft`, and with the section `lora` `fastchat train lora`."""

    lora: LoraSection | None = None
    judge: JudgeSection | None = None


class LoraRecipe(SftRecipe):
    lora: LoraSection = LoraSection()

    @model_validator(mode="before")
    @classmethod
    def _without_values(cls, values: Any) -> Any:  # `lora:` with nothing behind it
        return {**values, "lora": values.get("lora") or {}} if isinstance(values, dict) else values


R = TypeVar("R", bound=Recipe)


def shipped() -> list[str]:
    return sorted(file.name.removesuffix(".yaml") for file in (files(__package__) / "recipes").iterdir())


def read_recipe(kind: type[R], name_or_file: str | None, overrides: Sequence[str] = ()) -> R:
    """A file, a recipe we ship, or None, with `key=value` and `section.key=value` over it.

    Raises:
        SetupError: there is no such recipe, or it says something it may not; with every line at fault.
    """
    place, text = _text(name_or_file)
    try:
        content = yaml.safe_load(text) or {}
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise SetupError(f"{place} is not YAML: {error}.") from None
    if not isinstance(content, dict):
        raise SetupError(f"{place}:1: a recipe begins with a key such as 'model: …'.")
    given = _overridden(content, overrides)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        complaints = [_complaint(kind, place, root, given, one) for one in error.errors(include_url=False)]
        raise SetupError("\n".join(complaints)) from None


def _text(name_or_file: str | None) -> tuple[str, str]:
    if name_or_file is None:
        return "the command line", ""
    file = Path(name_or_file).expanduser()
    try:
        if file.is_file():
            return str(file), file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"The recipe {file} cannot be read: {error}.") from None
    if name_or_file in shipped():
        return f"{name_or_file}.yaml", (files(__package__) / "recipes" / f"{name_or_file}.yaml").read_text("utf-8")
    near = difflib.get_close_matches(name_or_file, shipped(), n=1)
    hint = f" Do you mean {near[0]}?" if near else ""
    raise SetupError(f"There is no recipe {name_or_file!r}, nor a file.{hint} Shipped are {', '.join(shipped())}.")


def _overridden(content: dict[str, Any], overrides: Sequence[str]) -> set[str]:
    """Put them into the content, and return their keys."""
    keys = set()
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise SetupError(f"{override!r} is no key=value. Behind the recipe, values look like learning_rate=1e-5.")
        try:
            value = yaml.safe_load(text) if text else None
        except yaml.YAMLError:
            value = text
        *sections, last = key.split(".")
        inner = content
        for section in sections:
            found = inner.get(section)
            inner[section] = inner = dict(found) if isinstance(found, dict) else {}
        inner[last] = value
        keys.add(key)
    return keys


def _complaint(kind: type[Recipe], place: str, root: yaml.Node | None, given: set[str], error: Any) -> str:
    """Any: what pydantic says of one error."""
    keys = [part for part in error["loc"] if not str(part).startswith(("tuple", "literal", "function"))]
    name = ".".join(map(str, keys))
    where = f"{name}=…" if name in given else f"{place}:{line_of(root, keys)}: {name}"
    if error["type"] == "missing":
        return f"{place}: {name} is missing; write it into the file, or {name}=… behind it."
    if error["type"] == "extra_forbidden":
        section = _section(kind, keys[:-1])
        near = difflib.get_close_matches(str(keys[-1]), section.model_fields, n=1)
        hint = f"do you mean {near[0]}? " if near else ""
        return f"{where}: there is no such key; {hint}There are: {', '.join(section.model_fields)}."
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    if not keys:  # of the recipe as a whole
        return f"{place}: {message}."
    return f"{where}: {error['input']!r} was given; {message}."


def _section(kind: type[BaseModel], keys: Sequence[str]) -> type[BaseModel]:
    """What stands under these keys."""
    for key in keys:
        arms = (kind.model_fields[key].annotation, *get_args(kind.model_fields[key].annotation))
        kind = next(arm for arm in arms if isinstance(arm, type) and issubclass(arm, BaseModel))
    return kind
