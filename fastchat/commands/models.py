"""`fastchat models`: change what a running `fastchat up` serves, without disturbing anybody."""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from fastchat.core.errors import SetupError
from fastchat.engines.registry import DataType, Device
from fastchat.launcher.config import HostedModel, LocalModel, Surroundings
from fastchat.launcher.remote import Remote, connect, wire_entry
from fastchat.launcher.views import model_table

_SWITCHES = {
    "--load-8bit": "round the weights to 8 bits while they are loaded",
    "--load-4bit": "round the weights to 4 bits while they are loaded",
    "--cpu-offloading": "keep weights that do not fit on the GPU in memory",
    "--trust-remote-code": "run Python that comes with the model; only for authors you trust",
}
_ENTRY_FIELDS = {*LocalModel.model_fields, *HostedModel.model_fields}


def main(argv: Sequence[str] | None = None) -> None:
    flags = _parser().parse_args(argv)
    action = {"list": _list, "add": _add, "remove": _remove}[flags.action]

    async def act() -> None:
        async with connect(flags.port) as remote:
            await action(remote, flags)

    asyncio.run(act())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastchat models", description="Change what a running `fastchat up` serves.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show the models with their state and load")
    listing.add_argument("--json", action="store_true", help="for programs")
    adding = actions.add_parser("add", help="serve one more model")
    _add_entry_flags(adding)
    removing = actions.add_parser("remove", help="stop serving a model; answers that are being written are finished")
    removing.add_argument("name", metavar="NAME", help="any name it answers to")
    for action in (adding, removing):
        action.add_argument("--no-wait", action="store_true", help="return before it is done")
    for action in (listing, adding, removing):
        action.add_argument("--port", type=int, help="port of the system, if several run here")
    return parser


def _add_entry_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .gguf file, 'builtin', or the name it has at --endpoint")
    parser.add_argument(
        "--name", dest="names", action="append", metavar="NAME", help="what clients call it; repeatable"
    )
    parser.add_argument("--engine", help="what runs it (default: by the file)")
    parser.add_argument("--context-length", type=int, metavar="N", help="tokens one request may use")
    parser.add_argument("--slots", type=int, metavar="N", help="requests answered at the same time")
    parser.add_argument("--replicas", type=int, metavar="N", help="worker processes that serve it (default: 1)")
    parser.add_argument("--gpus", metavar="0,1", type=lambda text: text.split(","), help="the GPUs each replica sees")
    parser.add_argument("--num-gpus", type=int, metavar="N", help="how many of them the weights are spread over")
    parser.add_argument("--max-gpu-memory", metavar="SIZE", help="memory for weights on each GPU, as 8GiB")
    parser.add_argument("--device", choices=get_args(Device), help="what computes (default: the best there is)")
    parser.add_argument("--dtype", choices=get_args(DataType), help="number format of the weights")
    for switch, meaning in _SWITCHES.items():
        parser.add_argument(switch, action="store_const", const=True, help=meaning)
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a model on the hub")
    parser.add_argument("--draft-model", metavar="PATH", help="a small model that proposes tokens")
    parser.add_argument("--conv-template", metavar="NAME|FILE", help="prompt format (default: the model's own)")
    parser.add_argument("--default-sampling", metavar="JSON", type=_json, help="sampling of requests that do not say")
    parser.add_argument("--adapters", metavar="JSON", type=_json, help="LoRA adapters: the name clients use → its path")
    parser.add_argument("--engine-args", metavar="JSON", type=_json, help="the engine's own settings")
    parser.add_argument("--endpoint", metavar="URL", help="an OpenAI-compatible server that runs it instead of us")
    parser.add_argument("--api-key", metavar="env:NAME", help="that server's key, taken from the environment")


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"this is not JSON: {error}") from None


async def _list(remote: Remote, flags: argparse.Namespace) -> None:
    status = await remote.status()
    if flags.json:
        print(status.model_dump_json(indent=2))
    else:
        Console().print(status.url, model_table(status.models))


async def _add(remote: Remote, flags: argparse.Namespace) -> None:
    given = {name: value for name, value in vars(flags).items() if name in _ENTRY_FIELDS and value is not None}
    entry = wire_entry(given, Surroundings(folder=Path.cwd(), environ=os.environ))
    name = (await remote.add(entry))[0]
    if flags.no_wait:
        print(f"{name} is being started.")
        return
    async for model in remote.follow(name):
        if model.state == "ready":
            print(f"{name} is ready.")
            return
        if model.state == "failed":
            raise SetupError(f"{name} cannot start. {model.workers[0].last_words.removeprefix('error: ')}")
    raise SetupError(f"{name} was removed before it was ready.")


async def _remove(remote: Remote, flags: argparse.Namespace) -> None:
    await remote.remove(flags.name)
    if flags.no_wait:
        print(f"{flags.name} is finishing its answers.")
        return
    async for _ in remote.follow(flags.name):
        pass
    print(f"{flags.name} is gone.")
