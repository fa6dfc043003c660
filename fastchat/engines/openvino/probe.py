"""A model that knows nothing: the smallest one the library loads, on which a form is tried before the real one gets it.

The library compiles a form only while it steps. One that does not compile fails this step and every later one, for all
requests that are under way, and cancelling does not help; so that has to happen where nobody else is.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

_WIDTH = 64  # one head of the usual size
_ANY_TOKEN = 2
_REMEMBERED = 256
Value: TypeAlias = str | int | float | Sequence[str] | Sequence[int]


class FormRefused(RuntimeError):
    """The library cannot compile it."""


class Probe:
    def __init__(self, library: Any) -> None:
        self._library = library
        self._pipeline: Any = None  # until the first form comes
        self._sound: dict[str, None] = {}

    def check(self, form: Any, key: str) -> None:
        """
        Raises:
            FormRefused: it would not compile.
        """
        if key in self._sound:
            return
        if self._pipeline is None:
            self._pipeline = _load(self._library)
        config = self._pipeline.get_config()
        config.max_new_tokens, config.structured_output_config = 1, form
        handle = self._pipeline.add_request(0, row([_ANY_TOKEN]), config)
        try:
            self._pipeline.step()
        except RuntimeError as error:
            raise FormRefused(str(error)) from None
        finally:
            handle.cancel()
            while self._pipeline.has_non_finished_requests():
                self._pipeline.step()
        self._sound[key] = None
        if len(self._sound) > _REMEMBERED:
            del self._sound[next(iter(self._sound))]


def row(tokens: list[int]) -> Any:
    """As the library takes them."""
    import numpy
    import openvino

    return openvino.Tensor(numpy.array([tokens], dtype=numpy.int64))


def _load(library: Any) -> Any:
    scheduler = library.SchedulerConfig()
    scheduler.num_kv_blocks = 4
    with TemporaryDirectory() as folder:
        path = Path(folder) / "probe.gguf"
        write_model(path)
        return library.ContinuousBatchingPipeline(str(path), scheduler, "CPU", {"INFERENCE_NUM_THREADS": 1})


def write_model(path: Path) -> None:
    """A llama of one layer whose weights are zero, in GGUF; its tokens are the printable characters of ASCII."""
    tokens = ["<s>", "</s>", *map(chr, range(33, 127))]
    size = len(tokens)
    metadata: Mapping[str, Value] = {
        "general.architecture": "llama",
        "general.file_type": 1,
        "llama.block_count": 1,
        "llama.context_length": 64,
        "llama.embedding_length": _WIDTH,
        "llama.feed_forward_length": _WIDTH,
        "llama.attention.head_count": 1,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.dimension_count": _WIDTH,
        "llama.vocab_size": size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3] + [1] * (size - 2),
        "tokenizer.ggml.merges": ["a a"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.padding_token_id": 1,
    }
    square, line, table = [_WIDTH, _WIDTH], [_WIDTH], [_WIDTH, size]
    layer = {f"attn_{part}": square for part in ("q", "k", "v", "output")}
    layer |= {"ffn_gate": square, "ffn_up": square, "ffn_down": square, "attn_norm": line, "ffn_norm": line}
    shapes = {"token_embd": table, "output_norm": line, "output": table}
    shapes |= {f"blk.0.{name}": shape for name, shape in layer.items()}
    path.write_bytes(_file(metadata, shapes))


def _file(metadata: Mapping[str, Value], shapes: Mapping[str, Sequence[int]]) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(shapes), len(metadata))
    head += b"".join(_string(key) + _typed(value) for key, value in metadata.items())
    end = 0
    for name, shape in shapes.items():
        is_line = len(shape) == 1
        head += _string(f"{name}.weight") + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0 if is_line else 1, end)  # norms in f32, the others in f16
        length = 4 * shape[0] if is_line else 2 * shape[0] * shape[1]
        end += length + -length % 32
    return head + bytes(-len(head) % 32) + bytes(end)


def _typed(value: Value) -> bytes:
    match value:
        case str():
            return struct.pack("<I", 8) + _string(value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(_string(str(item)) for item in value)
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
