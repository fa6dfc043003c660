"""`fastchat chat`, as before `python3 -m fastchat.serve.cli`: talk to a model in the terminal."""

import asyncio
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic_settings import SettingsConfigDict

from fastchat.core import logs
from fastchat.core.settings import setting
from fastchat.terminal.settings import TalkSettings
from fastchat.terminal.styles import Look, StyleName


class ChatSettings(TalkSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_CHAT_")

    style: StyleName | None = setting(
        None, "how it looks (default: rich on a terminal, else simple); programmatic is for programs"
    )
    multiline: bool = setting(False, "a message has several lines: Alt-Enter sends it, or in simple style Ctrl-D")
    mouse: bool = setting(False, "place the cursor with the mouse (rich)")
    conv_system_msg: str = setting("", "what the model is told before the conversation", metavar="TEXT")
    no_history: bool = setting(False, "each question stands alone")
    debug: bool = setting(False, "print prompt and speed after each answer")

    without_effect: ClassVar[Mapping[str, str]] = {
        "--judge-sent-end": "answers end where the model ends them",
    }


def main(argv: Sequence[str] | None = None) -> None:
    settings = ChatSettings.from_argv(argv, prog="fastchat chat", description="Talk to a model in the terminal.")
    logs.configure("ERROR")  # lines between the lines of a chat; what goes wrong is said in the chat itself
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # half a character from a model must not end the chat
    try:
        # Not on uvloop: it makes a terminal that it reads from refuse long output.
        has_failed = asyncio.run(_chat(settings))
    except BrokenPipeError:  # whoever read the answers has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    if has_failed:
        raise SystemExit(1)


async def _chat(settings: ChatSettings) -> bool:
    """True if nobody was there to mend what went wrong."""
    from fastchat.terminal.chat import Chat
    from fastchat.terminal.commands import COMMANDS
    from fastchat.terminal.conversation import Conversation
    from fastchat.terminal.styles import make_style

    parameters = settings.parameters()
    conversation = Conversation(settings.conv_system_msg, has_memory=not settings.no_history)
    async with settings.open_talker(sys.stderr) as talker:
        look = Look(settings.style, multiline=settings.multiline, mouse=settings.mouse)
        style = make_style(look, [command.name for command in COMMANDS])
        debug_format = ", ".join(settings.conv_template) or "the model's own" if settings.debug else None
        chat = Chat(talker, style, conversation, parameters, debug_format=debug_format)
        await chat.run()
        return chat.has_failed and not style.is_attended
