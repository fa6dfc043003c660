"""Where in a YAML file something stands, so that a complaint can name the line."""

from collections.abc import Sequence

import yaml


def line_of(root: yaml.Node | None, place: Sequence[str | int]) -> int:
    """The line, from 1, of the deepest part of `place` that stands in the file."""
    node, line = root, 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in reversed(node.value) if pair[0].value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
