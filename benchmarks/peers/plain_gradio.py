"""What one writes first with Gradio: `ChatInterface` (one pane), or Blocks with two chatbots. Run by its path.

    python -m benchmarks.peers.plain_gradio chat|panes PORT REGISTER_FILE MARKS_FILE

It reads the models as FastChat does, through the same client, and yields as often as FastChat's page; of Gradio's
settings only those are changed without which 200 could not be served at once.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from benchmarks.flush_marks import Marks
from benchmarks.paced_api import MODELS
from benchmarks.pinning import SERVER, pin
from fastchat.arena.answering import Pace
from fastchat.client.chat import ChatClient
from fastchat.client.endpoint_file import load_endpoints
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe

_AT_ONCE = 400


class Answers:
    def __init__(self, chat: ChatClient, marks: Marks, pace: Pace) -> None:
        self._chat = chat
        self._marks = marks
        self._pace = pace
        self._active = 0

    async def written(self, question: str, panes: int) -> AsyncIterator[list[str]]:
        """The texts so far of so many models, as often as FastChat's page flushes them."""
        texts = [""] * panes
        asked = [{"role": "user", "content": question}]

        async def read(pane: int) -> None:
            async for delta in self._chat.stream(MODELS[pane], asked):
                texts[pane] += delta.text

        readers = [asyncio.create_task(read(pane)) for pane in range(panes)]
        self._active += 1
        try:
            while not all(reader.done() for reader in readers):
                is_busy = self._active > self._pace.busy_above
                await asyncio.wait(readers, timeout=self._pace.busy_flush_s if is_busy else self._pace.flush_s)
                self._marks.note("page", texts)
                yield texts
        finally:
            self._active -= 1
            for reader in readers:
                reader.cancel()


def _chat_interface(answers: Answers) -> Any:  # Any: Gradio is untyped
    import gradio as gr

    async def respond(question: str, history: Any) -> AsyncIterator[str]:
        async for (text,) in answers.written(question, 1):
            yield text

    return gr.ChatInterface(respond)


def _two_panes(answers: Answers) -> Any:
    import gradio as gr

    async def respond(question: str, *logs: Any) -> AsyncIterator[Any]:
        asked = {"role": "user", "content": question}
        async for texts in answers.written(question, len(logs)):
            yield [[*log, asked, {"role": "assistant", "content": text}] for log, text in zip(logs, texts, strict=True)]

    with gr.Blocks() as blocks:
        with gr.Row():
            logs = [gr.Chatbot(label=f"Model {letter}") for letter in "AB"]
        box = gr.Textbox(label="Message")
        box.submit(respond, [box, *logs], logs)
    return blocks


@asynccontextmanager
async def _chat_client(register: Path) -> AsyncIterator[ChatClient]:
    fleet = Fleet()
    fleet.update(load_endpoints(register), source="register file", is_complete=True)
    pipe = Pipe(fleet, Http1Client(connect_s=5, idle_s=600))
    try:
        yield ChatClient(fleet, pipe)
    finally:
        await pipe.close()


async def _serve(kind: str, port: int, register: Path, marks: Marks) -> None:
    import gradio as gr
    from fastapi import FastAPI

    async with _chat_client(register) as chat:
        answers = Answers(chat, marks, Pace())
        blocks = {"chat": _chat_interface, "panes": _two_panes}[kind](answers)
        blocks.max_threads = _AT_ONCE
        blocks.queue(default_concurrency_limit=None)
        app = FastAPI()
        gr.mount_gradio_app(app, blocks, path="/", ssr_mode=False)
        config = uvicorn.Config(app, port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=1)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    pin(SERVER)
    # uvicorn raises the signal again once it is done, and what is noted has to reach the file.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    _kind, _port, _register, _marks = sys.argv[1:]
    with open(_marks, "w") as _file:
        uvloop.run(_serve(_kind, int(_port), Path(_register), Marks(_file)))
