"""`fastchat answer`, as before `python3 -m fastchat.serve.huggingface_api`: one question, one answer."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing

from pydantic_settings import SettingsConfigDict

from fastchat.core import logs
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.settings import setting
from fastchat.terminal.settings import TalkSettings


class AnswerSettings(TalkSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_ANSWER_")

    message: str = setting("Hello! Who are you?", "the question", metavar="TEXT")
    max_new_tokens: int | None = setting(1024, "longest answer", metavar="N")
    debug: bool = setting(False, "print the exact prompt first")


def main(argv: Sequence[str] | None = None) -> None:
    settings = AnswerSettings.from_argv(
        argv, prog="fastchat answer", description="Ask a model one question and print its answer."
    )
    logs.configure("ERROR")
    asyncio.run(_answer(settings))


async def _answer(settings: AnswerSettings) -> None:
    from fastchat.terminal.styles import ASSISTANT, USER, fit_for

    parameters = settings.parameters()
    messages = [{"role": "user", "content": settings.message}]
    async with settings.open_talker(sys.stderr) as talker:
        try:
            if settings.debug:
                print(await talker.prompt(messages))
            print(f"{USER}: {settings.message}")
            print(f"{ASSISTANT}: ", end="", flush=True)
            async with aclosing(talker.answer(messages, parameters)) as deltas:
                async for delta in deltas:
                    print(fit_for(sys.stdout, delta.text), end="", flush=True)
        except FastChatError as error:
            raise SetupError(error.message) from None
        finally:
            print()
