"""`fastchat weights`, and before that `python3 -m fastchat.model.apply_delta` and its siblings."""

import argparse
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast, get_args

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from fastchat.core.errors import SetupError
from fastchat.engines.hf.context import context_limit
from fastchat.model import builtin, deltas, manifest, rope, sources, to_gguf
from fastchat.model.convert import gguf_to_safetensors
from fastchat.model.info import describe
from fastchat.model.lora import apply_lora
from fastchat.model.manifest import Manifest, OnBytes
from fastchat.model.recast import FloatType, recast
from fastchat.model.requantize import Format, requantize
from fastchat.model.shards import Checkpoint
from fastchat.model.writing import WriteOptions

DESCRIPTION = (
    "Describe, verify, convert and merge weights. Paths may be folders, or names on the hub where they are read."
)
_HUB_UPLOAD = "upload the finished folder with: hf upload {} FOLDER"


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], None] = flags.run
    try:
        run(flags)
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        raise SetupError(
            f"A file{place} cannot be read or written: {error.strerror or error}. What is finished is kept; the same "
            "command goes on from there."
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat weights", description=DESCRIPTION)
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    info = _action(actions, "info", _info, "say what a model is, from its headers")
    info.add_argument("path", metavar="PATH")
    info.add_argument("--json", action="store_true", help="for programs")

    verify = _action(actions, "verify", _verify, f"compare every tensor with {manifest.NAME}")
    verify.add_argument("path", metavar="PATH")
    verify.add_argument("--write", action="store_true", help="make the manifest of what is there now")

    convert = _action(actions, "convert", _convert, "GGUF or .bin to safetensors, another number format, or to GGUF")
    convert.add_argument("source", metavar="SOURCE")
    convert.add_argument("target", metavar="TARGET", type=Path, help="a folder, or a file that ends in .gguf")
    convert.add_argument(
        "--dtype", choices=get_args(FloatType), help="number format (default: as it is; of GGUF bfloat16)"
    )
    convert.add_argument(
        "--outtype", choices=to_gguf.TYPES, default="auto", help="number format of GGUF (default: %(default)s)"
    )
    convert.add_argument("--converter", type=Path, metavar="PATH", help="llama.cpp's sources, or the script itself")
    _writing(convert)

    requant = _action(actions, "requantize", _requantize, "a GGUF file with its quantised weights in another format")
    requant.add_argument("source", metavar="SOURCE")
    requant.add_argument("target", metavar="TARGET.gguf", type=Path)
    requant.add_argument(
        "--to",
        choices=get_args(Format),
        default="q8_0",
        help="q8_0 and bf16 lose next to nothing (default: %(default)s)",
    )

    fp16 = _action(actions, "convert-fp16", _convert_fp16, "the same weights in float16, or another format")
    fp16.add_argument("--in-checkpoint", required=True, metavar="PATH")
    fp16.add_argument("--out-checkpoint", required=True, type=Path, metavar="PATH")
    fp16.add_argument("--dtype", choices=get_args(FloatType), default="float16", help="(default: %(default)s)")
    _writing(fp16)

    apply_delta = _action(actions, "apply-delta", _apply_delta, "base + delta, as Vicuna's first versions need it")
    make_delta = _action(actions, "make-delta", _make_delta, "what has to be added to a base to get a model")
    for action, target, delta in ((apply_delta, Path, str), (make_delta, str, Path)):
        action.add_argument("--base-model-path", required=True, metavar="PATH")
        action.add_argument("--target-model-path", required=True, type=target, metavar="PATH")
        action.add_argument("--delta-path", required=True, type=delta, metavar="PATH")
        action.add_argument("--low-cpu-mem", action="store_true", help="hold less of a tensor at a time")
        _writing(action)
    make_delta.add_argument("--hub-repo-id", help=argparse.SUPPRESS)

    lora = _action(actions, "apply-lora", _apply_lora, "merge a LoRA adapter into its base")
    lora.add_argument("--base-model-path", required=True, metavar="PATH")
    lora.add_argument("--target-model-path", required=True, type=Path, metavar="PATH")
    lora.add_argument("--lora-path", required=True, metavar="PATH")
    _writing(lora)

    condense = _action(actions, "condense-rope", _condense, "condense positions in config.json, as LongChat needs it")
    condense.add_argument("path", type=Path, metavar="PATH")
    condense.add_argument("--factor", type=float, help="by how much (default: what the configuration says)")
    condense.add_argument(
        "--max-length", type=int, metavar="TOKENS", help="context (default: factor times the old one)"
    )
    return parser


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _writing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace the target if it is there")
    parser.add_argument(
        "--max-shard-size", type=_size, default="5GB", metavar="SIZE", help="of each file (default: %(default)s)"
    )


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 5GB or 500MB")
    base = 1024 if "i" in text.lower() else 1000
    power = " KMGT".index(match[2].upper() or " ")
    return round(float(match[1]) * float(base) ** power)


def _info(flags: argparse.Namespace) -> None:
    found = describe(_here(flags.path))
    if flags.json:
        values = {name: getattr(found, name) for name in found.__slots__}
        print(json.dumps(values, default=str, indent=2))
        return
    print(found.path)
    for label, value in found.lines():
        print(f"  {label:<14} {value}")


def _verify(flags: argparse.Namespace) -> None:
    folder = _here(flags.path)
    with _progress("verifying", Checkpoint.open(folder).nbytes) as on_bytes:
        if flags.write:
            if manifest.read(folder):
                raise SetupError(f"'{folder}' has a {manifest.NAME}. Remove it first if you mean to make another.")
            found = manifest.of(folder, on_bytes)
            manifest.write(folder, found)
        else:
            found = manifest.verify(folder, on_bytes)
    print(f"{folder}: {'written' if flags.write else 'OK'}, {len(found.tensors)} tensors, digest {found.digest}")


def _convert(flags: argparse.Namespace) -> None:
    source = _source(flags.source)
    if flags.target.suffix == ".gguf":
        to_gguf.safetensors_to_gguf(source, flags.target, flags.outtype, flags.converter)
        print(flags.target)
    elif source.suffix == ".gguf":
        dtype = cast(FloatType, flags.dtype or "bfloat16")
        size = flags.max_shard_size
        print(gguf_to_safetensors(source, flags.target, dtype=dtype, overwrite=flags.overwrite, max_shard_size=size))
    else:
        _recast(source, flags.target, flags)


def _requantize(flags: argparse.Namespace) -> None:
    columns = (TextColumn("requantising"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("")
        count = requantize(
            _source(flags.source),
            flags.target,
            flags.to,
            report=lambda now: progress.update(task, completed=now.done + 1, total=now.total),
        )
    print(f"{flags.target}: {count} tensors in {flags.to}")


def _convert_fp16(flags: argparse.Namespace) -> None:
    _recast(_folder(flags.in_checkpoint), flags.out_checkpoint, flags)


def _recast(source: Path, target: Path, flags: argparse.Namespace) -> None:
    with _options(flags, source, "converting") as options:
        _report(target, recast(source, target, flags.dtype, options))


def _apply_delta(flags: argparse.Namespace) -> None:
    base, delta = _folder(flags.base_model_path), _folder(flags.delta_path)
    with _options(flags, delta, "applying the delta") as options:
        _report(flags.target_model_path, deltas.apply_delta(base, delta, flags.target_model_path, options))


def _make_delta(flags: argparse.Namespace) -> None:
    if flags.hub_repo_id:
        raise SetupError(f"--hub-repo-id: {_HUB_UPLOAD.format(flags.hub_repo_id)}")
    base, target = _folder(flags.base_model_path), _folder(flags.target_model_path)
    with _options(flags, target, "making the delta") as options:
        _report(flags.delta_path, deltas.make_delta(base, target, flags.delta_path, options))


def _apply_lora(flags: argparse.Namespace) -> None:
    base, adapter = _folder(flags.base_model_path), _folder(flags.lora_path)
    with _options(flags, base, "merging the adapter") as options:
        _report(flags.target_model_path, apply_lora(base, adapter, flags.target_model_path, options))


def _condense(flags: argparse.Namespace) -> None:
    config = rope.condense(flags.path, flags.factor, flags.max_length)
    print(f"{flags.path}: {context_limit(config, {}).usual} tokens")


def _report(target: Path, made: Manifest) -> None:
    print(f"{target}: {len(made.tensors)} tensors, digest {made.digest}")


def _source(text: str) -> Path:
    """What is read; fetched if it is a name on the hub."""
    return Path(sources.resolve(text))


def _folder(text: str) -> Path:
    """Likewise, but weights one can calculate with."""
    return builtin.ensure_safetensors() if text in builtin.ALIASES else _source(text)


def _here(text: str) -> Path:
    """
    Raises:
        SetupError: it is on the hub and was not fetched.
    """
    if (path := sources.locate(text)) is None:
        raise SetupError(f"{text} is not on this machine yet. Fetch it with: fastchat pull {text}")
    return path


@contextmanager
def _options(flags: argparse.Namespace, measure: Path, label: str) -> Iterator[WriteOptions]:
    with _progress(label, Checkpoint.open(measure).nbytes) as on_bytes:
        yield WriteOptions(
            max_shard_bytes=flags.max_shard_size,
            low_memory=getattr(flags, "low_cpu_mem", False),
            overwrite=flags.overwrite,
            on_bytes=on_bytes,
        )


@contextmanager
def _progress(label: str, total: int) -> Iterator[OnBytes]:
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(label, total=total)

        def on_bytes(count: int) -> None:
            progress.advance(task, count)

        yield on_bytes
