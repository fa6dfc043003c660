"""Files of rules for categories, ours and an operator's; what is wrong in one is said with its line."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fastchat.arena.leaderboard.board import OVERALL
from fastchat.arena.leaderboard.categories.rules import Rule
from fastchat.core.errors import SetupError
from fastchat.core.yaml_places import line_of

_KEY = "categories"


def _is_free(name: str) -> str:
    if name == OVERALL:
        raise ValueError(f"{OVERALL!r} is the name of all votes; choose another")
    return name


Name: TypeAlias = Annotated[str, Field(pattern=r"^\S(.{0,78}\S)?$"), AfterValidator(_is_free)]


class _RuleFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: dict[Name, Rule]


@cache
def builtin_rules() -> Mapping[str, Rule]:
    text = (files(__package__) / "builtin.yaml").read_text("utf-8")
    return _RuleFile.model_validate(yaml.safe_load(text)).categories


def read_rules(file: Path) -> Mapping[str, Rule]:
    """
    Raises:
        SetupError: it cannot be read, or says something it may not.
    """
    try:
        text = file.read_text("utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise SetupError(f"The rules {file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"The rules {file} are not UTF-8: {error}.") from None
    except yaml.YAMLError as error:
        raise SetupError(f"The rules {file} are not YAML: {error}.") from None
    if not isinstance(content, dict):
        raise SetupError(f"{file}:1: it should begin with 'categories:', with rules by their names below.")
    try:
        return _RuleFile.model_validate(content).categories
    except ValidationError as error:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raise SetupError("\n".join(_complaint(file, root, one) for one in error.errors(include_url=False))) from None


def _complaint(file: Path, root: yaml.Node | None, error: Any) -> str:
    """Any: what pydantic says of one error."""
    keys = [part for part in error["loc"] if part != "[key]"]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        allowed = Rule.model_fields if len(keys) == 3 else {_KEY: None} if len(keys) == 1 else {}
        message = "there is no such key" + (f"; there are: {', '.join(allowed)}" if allowed else "")
    return f"{file}:{line_of(root, keys)}: {'.'.join(map(str, keys))}: {message}."
