"""Read fastchat.yaml so that every complaint about it names the line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.core.yaml_places import line_of
from fastchat.launcher.config import Config, Surroundings
from fastchat.launcher.problems import ConfigProblems, Place, Problem, problems_of


class Source(NamedTuple):
    """Where a configuration was read, for what is found wrong with it later."""

    path: Path
    root: yaml.Node | None

    def line(self, place: Place) -> int:
        """The line of the deepest part of `place` that stands in the file."""
        return line_of(self.root, place)

    def locate(self, place: Place) -> str:
        return f"{self.path}:{self.line(place)}: "


class ConfigFile(NamedTuple):
    config: Config
    source: Source


def load(path: Path, environ: Mapping[str, str] = os.environ) -> ConfigFile:
    """
    Raises:
        SetupError: the file cannot be read, is no YAML, or says something it may not; with every line at fault.
    """
    source, content = _parse(path)
    surroundings = Surroundings(folder=path.absolute().parent, environ=environ)
    try:
        config = Config.model_validate({} if content is None else content, context=surroundings)
    except ValidationError as error:
        problems = sorted(problems_of(error), key=lambda problem: source.line(problem.place))
        raise ConfigProblems(problems, source.locate) from None
    return ConfigFile(config, source)


def _parse(path: Path) -> tuple[Source, Any]:  # Any: a file may hold anything
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read: {error}.") from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        source = Source(path, root)
        if repeated := _repeated_keys(root):
            raise ConfigProblems(repeated, source.locate)
        return source, loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise SetupError(f"{path}:{mark.line + 1 if mark else 1}: this is not YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise SetupError(f"{path}: this is not YAML: {error}.") from None
    finally:
        loader.dispose()


def _repeated_keys(root: yaml.Node | None) -> list[Problem]:
    """YAML forbids a key twice, but the parser quietly takes the last."""
    found: list[Problem] = []
    seen = set()  # an alias may lead back to where we were
    to_do: list[tuple[Place, yaml.Node | None]] = [((), root)]
    while to_do:
        place, node = to_do.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            to_do += [((*place, index), item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            keys = [str(key.value) for key, _ in node.value]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            found += [Problem("this key stands here twice", (*place, key)) for key in twice]
            to_do += [((*place, key), value) for key, (_, value) in zip(keys, node.value, strict=True)]
    return found
