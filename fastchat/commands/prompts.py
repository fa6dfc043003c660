"""`fastchat prompts`: the prompt formats, and the exact text or tokens a model gets for a conversation."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.engines.rendering import Source, find_source, token_ids
from fastchat.prompts import catalog
from fastchat.prompts.conversations import SAMPLE, read_conversation, with_system
from fastchat.prompts.formats import PromptFormat
from fastchat.prompts.rendering import AnswerMarks

_NAME_HELP = "a name from the list, a Jinja file, or a model (path or 'builtin') for the template it ships"
_MODEL_HELP = "a model; print the token ids it gets instead of the text"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat prompts", description="Show prompt formats and what they render.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="print the names of all formats, one a line")
    show = actions.add_parser("show", help="describe a format: its Jinja, system message, stops, models, an example")
    show.add_argument("name", metavar="NAME", help=_NAME_HELP)
    show.add_argument("--jinja", action="store_true", help="print the Jinja only, as other programs read it")
    show.add_argument("--model-path", metavar="PATH", help="a model whose token ids of the example are shown too")
    render = actions.add_parser("render", help="print exactly the text a model gets for a conversation")
    render.add_argument("name", metavar="NAME", help=_NAME_HELP)
    render.add_argument(
        "--messages", required=True, metavar="FILE", help="OpenAI messages, or an object that has them; - is stdin"
    )
    render.add_argument("--system", metavar="TEXT", help="system message, in place of any other")
    render.add_argument("--model-path", metavar="PATH", help=_MODEL_HELP)
    flags = parser.parse_args(argv)
    try:
        {"list": _list, "show": _show, "render": _render}[flags.action](flags)
    except InvalidRequest as error:
        raise SetupError(error.message) from None


def _list(flags: argparse.Namespace) -> None:
    for name in catalog.names():
        print(name)


def _render(flags: argparse.Namespace) -> None:
    source = find_source(flags.name)
    messages = with_system(read_conversation(flags.messages), flags.system)
    text = source.render(messages)
    if flags.model_path:
        print(json.dumps(asyncio.run(token_ids(flags.model_path, source, messages))))
    else:
        _write(text)


def _show(flags: argparse.Namespace) -> None:
    source = find_source(flags.name)
    if flags.jinja:
        _write(source.format.template)
        return
    _describe(source.format)
    print("\nan example; ⟦what the model says⟧ is what it is trained on:")
    print(_visible(source))
    if flags.model_path:
        print("\nits token ids:")
        print(json.dumps(asyncio.run(token_ids(flags.model_path, source, SAMPLE))))
    print(f"\nJinja:\n{source.format.template}")


def _describe(format: PromptFormat) -> None:
    models = [rule.pattern for rule in catalog.rules() if rule.format == format.name]
    rows = {
        "name": format.name,
        "system message": json.dumps(format.system, ensure_ascii=False) if format.system else "none",
        "roles": ", ".join(json.dumps(role, ensure_ascii=False) for role in format.roles),
        "stop strings": ", ".join(json.dumps(stop, ensure_ascii=False) for stop in format.stop) or "none",
        "stop token ids": ", ".join(map(str, format.stop_token_ids)) or "none",
        "models": " or ".join(models) or "only when asked for",
    }
    for name, value in rows.items():
        print(f"{name:<16}{value}")
    for row in catalog.differences():
        if format.name in row.formats:
            print(f"{'not FastChat’s':<16}{row.what} {row.why}")


def _visible(source: Source) -> str:
    """The example with ends of lines that can be seen."""
    return source.render(SAMPLE, answer_marks=AnswerMarks("⟦", "⟧")).replace("\n", "⏎\n")


def _write(text: str) -> None:
    """Nothing but the text: no line end of ours, and UTF-8 whatever the terminal is set to."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
