"""Which models can be talked to, as the API says."""

import asyncio
import time
from typing import NamedTuple

import openai

from fastchat.web.failures import explain_silence

Choice = tuple[str, str]  # what the picker shows, and what it stands for


class Models(NamedTuple):
    names: tuple[str, ...] = ()
    problem: str = ""  # why the list is old or empty, for the reader of the page


class ModelList:
    """The API's list, asked for at most once in `fresh_s` seconds however many pages are open."""

    def __init__(self, client: openai.AsyncOpenAI, *, fresh_s: float, timeout_s: float) -> None:
        self._client = client.with_options(timeout=timeout_s)
        self._fresh_s = fresh_s
        self._known = Models()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()  # pages that ask together share one request

    async def current(self) -> Models:
        async with self._asking:
            if time.monotonic() - self._asked_at >= self._fresh_s:
                self._known = await self._ask()
                self._asked_at = time.monotonic()
        return self._known

    async def _ask(self) -> Models:
        try:
            page = await self._client.models.list()
        except openai.APIError as error:
            # The last list stands: an API that restarts must not take the reader's choice away.
            return Models(self._known.names, explain_silence(error))
        names = tuple(dict.fromkeys(model.id for model in page.data))
        return Models(names, "" if names else NO_MODEL)


NO_MODEL = "No model is running at the moment. This page will notice when one starts."
NOTHING: Choice = ("No model", "")


def choices(models: Models, chosen: str | None, *, keep: bool) -> tuple[list[Choice], str]:
    """What the picker offers and has chosen. `keep`: a conversation is under way, so a model that left stays chosen."""
    live = [(name, name) for name in models.names]
    if chosen in models.names:
        return live, chosen
    if chosen and keep:
        return [(f"{chosen} (not running)", chosen), *live], chosen
    return (live, models.names[0]) if live else ([NOTHING], "")
