"""Settings of a process: one frozen class from which flags, environment variables and help texts come.

    class ControllerSettings(Settings):
        model_config = SettingsConfigDict(env_prefix="FASTCHAT_CONTROLLER_")
        port: int = setting(21001, "port to listen on")
        controller_address: str = setting("http://…", "where the controller is", "--controller")

A flag wins over its environment variable, which wins over the default. Short forms that old scripts rely on are
declared as further flags; argparse also accepts any unambiguous beginning of a flag.
"""

import argparse
import json
import logging
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, Union, cast, get_args, get_origin

from pydantic import BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from fastchat.core.errors import SetupError

log = logging.getLogger(__name__)


def setting(
    default: Any,
    help: str,
    *flags: str,
    env: str | None = None,
    metavar: str | tuple[str, ...] | None = None,
    nargs: int | Literal["+"] | None = None,
    positional: bool = False,
) -> Any:
    """A field that is also a flag. `flags` are further spellings, `env` a variable outside the class's prefix.

    With `nargs`, so many values stand behind one flag. One that is `positional` is given without a flag's name, and may
    be left out.
    """
    extra = {"flags": list(flags), "metavar": metavar, "nargs": nargs, "positional": positional}
    if env is not None:
        return Field(default, description=help, validation_alias=env, json_schema_extra=cast(Any, extra))
    return Field(default, description=help, json_schema_extra=cast(Any, extra))


def _split(value: object) -> object:
    return _items(value) if isinstance(value, str) else value


# A list that is written with commas, as a flag and in the environment.
Items: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


OptionalItems: TypeAlias = Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Base of every settings class.

    `withdrawn` and `without_effect` hold flags of old versions with the word their users get: with one of the first
    kind the command cannot do what was asked, so it stops; with one of the second it goes on.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=())

    withdrawn: ClassVar[Mapping[str, str]] = {}
    without_effect: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def from_argv(cls, argv: Sequence[str] | None, *, prog: str, description: str) -> Self:
        """Read flags, then environment, then defaults.

        Raises:
            SetupError: a value is wrong, or a flag was withdrawn.
        """
        return cls._from_flags(cls.parser(prog, description).parse_args(argv))

    @classmethod
    def from_known_argv(cls, argv: Sequence[str] | None, *, prog: str, description: str) -> tuple[Self, list[str]]:
        """The same, and beside it the arguments that are none of ours, in their order.

        Flags are written out: somebody else's must not be taken for the beginning of one of ours.

        Raises:
            SetupError: a value is wrong, or a flag was withdrawn.
        """
        parser = cls.parser(prog, description)
        parser.allow_abbrev = False
        known, others = parser.parse_known_args(argv)
        return cls._from_flags(known), others

    @classmethod
    def _from_flags(cls, flags: argparse.Namespace) -> Self:
        try:
            return cls(**vars(flags))
        except ValidationError as error:
            raise SetupError(_explain(error, cls)) from None
        except SettingsError as error:
            raise SetupError(f"{error}. In the environment, lists and objects are written as JSON.") from None

    @classmethod
    def parser(cls, prog: str, description: str) -> argparse.ArgumentParser:
        parser = _Parser(prog=prog, description=description, argument_default=argparse.SUPPRESS, formatter_class=_Help)
        for name, field in cls.model_fields.items():
            _add_flag(parser, name, field)
        for flags, action in ((cls.withdrawn, _Withdrawn), (cls.without_effect, _WithoutEffect)):
            for flag, word in flags.items():
                parser.add_argument(flag, nargs="?", action=action, help=argparse.SUPPRESS, const=word)
        return parser


class _Parser(argparse.ArgumentParser):
    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # argparse calls a beginning ambiguous even when all it could mean are spellings of one flag.
        matches = super()._get_option_tuples(option_string)
        return list({id(match[0]): match for match in matches}.values())


class _Help(argparse.HelpFormatter):
    """Wide enough for our longest flag, at most 100 columns."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        super().__init__(prog, max_help_position=32, width=100)


class _Withdrawn(argparse.Action):
    def __call__(self, *args: Any, **kwargs: Any) -> None:
        raise SetupError(f"{self.option_strings[0]}: {self.const}")


class _WithoutEffect(argparse.Action):
    def __call__(self, *args: Any, **kwargs: Any) -> None:
        log.warning("%s has no effect: %s", self.option_strings[0], self.const)


def _add_flag(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    extra = cast(dict[str, Any], field.json_schema_extra or {})
    kind = _without_none(field.annotation)
    options: dict[str, Any] = {"dest": name, "help": _help(field)}
    if kind is bool:
        options |= {"action": argparse.BooleanOptionalAction if field.default else "store_true"}
    elif get_origin(kind) is Literal:
        options |= {"choices": get_args(kind)}
    elif extra.get("nargs"):
        options |= {"nargs": extra["nargs"], "metavar": extra["metavar"]}
    elif get_origin(kind) is list:
        options |= {"action": "append", "metavar": extra.get("metavar") or name.rpartition("_")[2].upper()}
    elif get_origin(kind) is tuple:
        options |= {"type": _items, "metavar": extra.get("metavar") or "A,B"}
    elif get_origin(kind) is dict:
        options |= {"type": _json_object, "metavar": extra.get("metavar") or "JSON"}
    else:
        options |= {"metavar": extra.get("metavar") or name.rpartition("_")[2].upper()}
    if extra.get("positional"):
        parser.add_argument(options.pop("dest"), nargs="?", **options)
        return
    parser.add_argument(f"--{name.replace('_', '-')}", *extra.get("flags", ()), **options)


def _help(field: FieldInfo) -> str:
    text = (field.description or "").replace("%", "%%")
    shown = ",".join(map(str, field.default)) if isinstance(field.default, tuple | list) else field.default
    if not shown or shown is True:
        return text
    return f"{text} (default: {shown})"


def _items(text: str) -> tuple[str, ...]:
    """A comma list, or a JSON list as FastChat's CORS flags have it."""
    if text.startswith("["):
        try:
            return tuple(json.loads(text))
        except json.JSONDecodeError:
            raise ValueError("it begins like a JSON list, but is none") from None
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(arm for arm in get_args(annotation) if arm is not type(None))
    return annotation


def _explain(error: ValidationError, cls: type[Settings]) -> str:
    lines = []
    for item in error.errors(include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        flag = f"--{name.replace('_', '-')}: " if name in cls.model_fields else f"{name}: " if name else ""
        lines.append(f"{flag}{item['msg'].removeprefix('Value error, ')} (given: {item['input']!r})")
    return "\n".join(lines)
