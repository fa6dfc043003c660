"""A server on loopback whose model knows how some texts go on. A character is a token."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

LIKELY, UNLIKELY = -0.25, -4.0


class TextServer:
    def __init__(self, endings: Mapping[str, str], answers: Mapping[str, str]) -> None:
        """What follows texts; and what is answered where the last message ends so."""
        self.endings = endings
        self.answers = answers
        self.heeds_bias = True
        self.scores_prompts = False
        self.asked: Counter[str] = Counter()  # by path
        self.bodies: list[Mapping[str, Any]] = []
        self.url = ""

    async def read(self, request: web.Request) -> Mapping[str, Any]:
        self.asked[request.path] += 1
        body: Mapping[str, Any] = json.loads(await request.read())
        self.bodies.append(body)
        return body

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def tokenize(self, request: web.Request) -> web.Response:
        body = await self.read(request)
        return web.json_response({"tokens": [*map(ord, body["prompt"])]})

    async def complete(self, request: web.Request) -> web.Response:
        body = await self.read(request)
        if body.get("echo"):
            return self.echo(body["prompt"])
        text = "".join(map(chr, body["prompt"]))
        likely = self.next_of(text)
        (forced,) = map(int, body["logit_bias"])
        said = chr(forced) if self.heeds_bias else likely
        logprob = LIKELY if said == likely else UNLIKELY
        told = {"tokens": [said], "token_logprobs": [logprob], "top_logprobs": [{likely: LIKELY}], "text_offset": [0]}
        return web.json_response({"choices": [{"index": 0, "text": said, "logprobs": told}]})

    def echo(self, prompt: str) -> web.Response:
        if not self.scores_prompts:
            return web.json_response({"error": {"message": "no engine here scores the prompt"}}, status=400)
        likely = [self.next_of(prompt[:at]) for at in range(len(prompt) + 1)]
        text = prompt + likely[-1]
        told = {
            "tokens": list(text),
            "token_logprobs": [None, *(LIKELY if text[at] == likely[at] else UNLIKELY for at in range(1, len(text)))],
            "top_logprobs": [None, *({token: LIKELY} for token in likely[1:])],
            "text_offset": [*range(len(text))],
        }
        return web.json_response({"choices": [{"index": 0, "text": text, "logprobs": told}]})

    def next_of(self, text: str) -> str:
        for context, ending in self.endings.items():
            if (context + ending).startswith(text) and len(text) >= len(context):
                return (context + ending + "$")[len(text)]
        return "$"

    async def chat(self, request: web.Request) -> web.Response:
        body = await self.read(request)
        asked = body["messages"][-1]["content"]
        text = next((said for end, said in self.answers.items() if asked.endswith(end)), "I do not know.")
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})


@asynccontextmanager
async def serving(server: TextServer) -> AsyncIterator[TextServer]:
    app = web.Application()
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/tokenize", server.tokenize)
    app.router.add_post("/v1/completions", server.complete)
    app.router.add_post("/v1/chat/completions", server.chat)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
