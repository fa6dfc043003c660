"""Pickles of pandas, NumPy, Arrow and Plotly, read without running any of them.

Every class or function that a pickle names becomes a stand-in, which only remembers what it was given; so nothing can
be called, whatever the file says, and files of other versions of those libraries can be read as well. `table_of` then
finds the columns of a DataFrame in what was remembered. Names from anywhere else are refused.
"""

import pickle
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from math import prod
from typing import Any, Never

from fastchat.core.errors import SetupError

_LIBRARIES = ("pandas", "numpy", "pyarrow", "plotly", "_plotly_utils", "pytz", "dateutil", "zoneinfo", "datetime")
_BUILTINS = {
    ("builtins", "slice"), ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "bytearray"),
    ("collections", "OrderedDict"), ("collections", "defaultdict"), ("copyreg", "_reconstructor"),
    ("builtins", "object"), ("builtins", "float"), ("builtins", "int"), ("builtins", "dict"), ("builtins", "list"),
    ("builtins", "long"), ("_codecs", "encode"),
}  # fmt: skip


class StandIn:
    """What a class or function of the pickle would have made, or been asked for."""

    name: str  # of the class or function

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: whatever the file holds
        self.args = args
        self.state: Any = None
        self.items: dict[Any, Any] = {}

    def __new__(cls, *args: Any, **kwargs: Any) -> "StandIn":
        made = super().__new__(cls)
        made.args, made.state, made.items = args, None, {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, _item: Any) -> None:
        """Elements of subclasses of `list`; nothing that we read has any."""

    def extend(self, _items: Any) -> None: ...


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes, shown: str) -> None:
        super().__init__(BytesIO(content))
        self._shown = shown
        self._known: dict[str, type[StandIn]] = {}

    def find_class(self, module: str, name: str) -> type[StandIn]:
        if module.partition(".")[0] not in _LIBRARIES and (_modern(module), name) not in _BUILTINS:
            raise _refused(self._shown, f"It asks for {module}.{name}, which no table of results needs.")
        full = f"{_modern(module)}.{name}"
        return self._known.setdefault(full, type("StandIn", (StandIn,), {"name": full}))

    def persistent_load(self, pid: Any) -> Never:
        raise _refused(self._shown, "It refers to something outside the file.")


def _modern(module: str) -> str:
    return "builtins" if module == "__builtin__" else module


def load(content: bytes, shown: str) -> Any:
    """What the pickle holds: plain values, and stand-ins for everything else. `shown` names the file.

    Raises:
        SetupError: it is no pickle, or asks for something that results do not need.
    """
    try:
        return _Reader(content, shown).load()
    except SetupError:
        raise
    except Exception as error:  # a pickle is a program: whatever its steps raise on our stand-ins
        raise _refused(shown, f"It is damaged or no pickle ({type(error).__name__}: {str(error)[:100]}).") from None


def _refused(shown: str, reason: str) -> SetupError:
    return SetupError(
        f"{shown} is not read. {reason} Pickles can run programs, so only tables are taken from them; write the "
        "results as JSON instead, or get the file from whoever made it."
    )


Column = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A DataFrame: its index and its columns, each as long as the index."""

    index: Column
    columns: Mapping[str, Column]


def table_of(value: object) -> Table | None:
    """None if this is no DataFrame, or one whose inside we do not know."""
    if not isinstance(value, StandIn) or not value.name.endswith(".DataFrame"):
        return None
    try:
        axes, blocks = _axes_and_blocks(value)
        names, index = (_values(axis) for axis in axes)
        columns: dict[int, Column] = {}
        for places, rows in blocks:
            columns |= zip(places, rows, strict=True)
        if any(len(column) != len(index) for column in columns.values()):
            return None
        return Table(index, {str(names[place]): column for place, column in columns.items()})
    except (_Unknown, ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error):
        return None


class _Unknown(Exception):
    """Nothing that pandas or NumPy wrote in any version that we know."""


def _axes_and_blocks(frame: StandIn) -> tuple[Sequence[Any], list[tuple[Sequence[int], Sequence[Column]]]]:
    state = frame.state
    manager = (state.get("_mgr") or state.get("_data")) if isinstance(state, dict) else state
    if not isinstance(manager, StandIn):
        raise _Unknown
    if manager.state is None:  # pandas 1.3 and later
        blocks, axes = manager.args
        return axes, [(_places(block.args[1]), _rows(block.args[0])) for block in blocks]
    older = manager.state[3]["0.14.1"]
    return older["axes"], [(_places(block["mgr_locs"]), _rows(block["values"])) for block in older["blocks"]]


def _places(places: Any) -> Sequence[int]:
    """Which columns a block holds."""
    if isinstance(places, StandIn) and places.name == "builtins.slice":
        start, stop, step = places.args
        return range(start, stop, step or 1)
    return [int(place) for place in _values(places)]


def _rows(block: Any) -> Sequence[Column]:
    """The columns of a block, which stand in its rows; one that is no array of NumPy's is a single column."""
    if isinstance(block, StandIn) and block.name.endswith("_frombuffer"):
        shape, values = _from_buffer(block)
    elif isinstance(block, StandIn) and block.name.endswith("._reconstruct"):
        shape, values = _from_state(block)
    else:
        return [_values(block)]
    if len(shape) == 1:
        return [values]
    return [values[row * shape[1] : (row + 1) * shape[1]] for row in range(shape[0])]


def _values(array: Any) -> Column:
    """Of anything with one dimension: an array, an index, an array of strings."""
    if isinstance(array, list):
        return array
    if not isinstance(array, StandIn):
        raise _Unknown
    if array.name.endswith("._new_Index"):
        inside = array.args[1]
        if "data" in inside:
            return _values(inside["data"])
        return range(inside["start"], inside["stop"], inside["step"])
    if array.name.endswith(".ArrowStringArray"):
        return _texts(array.state["_pa_array"])
    if array.name.endswith("__pyx_unpickle_NDArrayBacked"):
        return _values(next(part for part in array.state if _is_array(part)))
    if array.name.endswith("_frombuffer"):
        return _from_buffer(array)[1]
    if array.name.endswith("._reconstruct"):
        return _from_state(array)[1]
    raise _Unknown


def _texts(array: Any) -> Column:
    """Of an Arrow array of strings, or of one in pieces: https://arrow.apache.org/docs/format/Columnar.html"""
    if array.name.endswith(".chunked_array"):
        return [text for piece in array.args[0] for text in _texts(piece)]
    kind, length, _nulls, offset, buffers = array.args[0][:5]
    width = {"large_string": "q", "string": "i"}.get(kind.args[0]) or _unknown()
    valid, ends, content = (_buffer(buffer) for buffer in buffers)
    bounds = struct.unpack_from(f"<{length + 1}{width}", ends, offset * struct.calcsize(width))
    texts = [content[start:end].decode("utf-8", "replace") for start, end in pairwise(bounds)]
    return [text if not valid or valid[at // 8] >> at % 8 & 1 else None for at, text in enumerate(texts, offset)]


def _buffer(buffer: Any) -> bytes:
    return b"" if buffer is None else _bytes(buffer.args[0])


def _is_array(value: object) -> bool:
    return isinstance(value, StandIn) and value.name.endswith(("._reconstruct", "_frombuffer"))


def _from_state(array: StandIn) -> tuple[tuple[int, ...], Column]:
    _version, shape, dtype, is_fortran, content = array.state
    if isinstance(content, list):
        return shape, _in_rows(content, shape, is_fortran)
    return shape, _in_rows(_numbers(_bytes(content), dtype), shape, is_fortran)


def _from_buffer(array: StandIn) -> tuple[tuple[int, ...], Column]:
    content, dtype, shape, order = array.args[:4]
    return shape, _in_rows(_numbers(_bytes(content), dtype), shape, order == "F")


def _bytes(content: Any) -> bytes:
    if isinstance(content, StandIn) and content.name == "builtins.bytearray":
        return _bytes(content.args[0])
    if isinstance(content, StandIn) and content.name == "_codecs.encode":  # how pickles of Python 2's kind hold bytes
        return str(content.args[0]).encode("latin-1")
    return bytes(content) if isinstance(content, bytes | bytearray) else _unknown()


def _numbers(content: bytes, dtype: StandIn) -> Column:
    kind = str(dtype.args[0])
    if kind.startswith("U"):
        width = int(kind[1:]) * 4
        order = "utf-32-be" if _order(dtype) == ">" else "utf-32-le"
        pieces = (content[at : at + width] for at in range(0, len(content), width))
        return [piece.decode(order).rstrip("\0") for piece in pieces]
    code = _FORMATS.get(kind) or _unknown()
    return struct.unpack(f"{_order(dtype)}{len(content) // struct.calcsize(code)}{code}", content)


_FORMATS = {
    "f8": "d", "f4": "f", "f2": "e", "b1": "?",
    "i8": "q", "i4": "i", "i2": "h", "i1": "b", "u8": "Q", "u4": "I", "u2": "H", "u1": "B",
}  # fmt: skip


def _order(dtype: StandIn) -> str:
    return ">" if isinstance(dtype.state, tuple) and dtype.state[1] == ">" else "<"


def _in_rows(values: Column, shape: tuple[int, ...], is_fortran: bool) -> Column:
    if len(values) != prod(shape) or not 1 <= len(shape) <= 2:
        raise _Unknown
    if len(shape) == 1 or not is_fortran:
        return values
    rows = shape[0]
    return [value for row in range(rows) for value in values[row::rows]]


def scalar_of(value: object) -> Any:
    """A plain number or word for one of NumPy's; everything else as it is."""
    if isinstance(value, StandIn) and value.name.endswith(".multiarray.scalar"):
        try:
            return _numbers(_bytes(value.args[1]), value.args[0])[0]
        except (_Unknown, IndexError, TypeError, struct.error):
            return None
    return value


def _unknown() -> Never:
    raise _Unknown
