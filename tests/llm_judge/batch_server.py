"""A server on loopback that takes batches as OpenAI and Anthropic do, and answers calls one by one, too."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.llm_judge.endpoint import Endpoint

_DATE = "2026-01-01T00:00:00Z"


class BatchServer(Endpoint):
    """Batches are done when somebody looks for the second time; while it `holds`, never.

    `fails` says which calls fail within a batch; `gives_up` is why none is taken.
    """

    def __init__(self, say: Callable[[Mapping[str, Any]], str], models: tuple[str, ...]) -> None:
        super().__init__(say, models)
        self.holds = False
        self.fails: Callable[[Mapping[str, Any]], bool] = lambda _: False
        self.gives_up = ""
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.looks: dict[str, int] = {}
        self._files: dict[str, bytes] = {}

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches/{id}", self.retrieve)
        app.router.add_post("/v1/messages/batches", self.create_messages)
        app.router.add_get("/v1/messages/batches/{id}", self.retrieve_messages)
        app.router.add_get("/v1/messages/batches/{id}/results", self.message_results)

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self._files)}"
        self._files[name] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response(
            {"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "x", "purpose": "batch"}
        )

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(body=self._files[request.match_info["id"]])

    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        rows = [json.loads(line) for line in self._files[asked["input_file_id"]].splitlines()]
        assert all(row["url"] == asked["endpoint"] == "/v1/chat/completions" for row in rows)
        return web.json_response(self._status(self._add(rows), "validating"))

    async def retrieve(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.batches:
            raise web.HTTPNotFound(text='{"error": {"message": "there is no such batch"}}')
        if self.gives_up:
            return web.json_response(
                self._status(name, "failed") | {"errors": {"data": [{"message": self.gives_up}], "object": "list"}}
            )
        if not self._is_done(name):
            return web.json_response(self._status(name, "in_progress"))
        good, bad = [], []
        for row in self.batches[name]:
            said = {"custom_id": row["custom_id"], "error": None}
            if self.fails(row["body"]):
                body: dict[str, Any] = {"error": {"message": "out of luck"}}
                bad.append(said | {"response": {"status_code": 500, "body": body}})
            else:
                message = {"role": "assistant", "content": self._say(row["body"])}
                usage = {"prompt_tokens": 10, "completion_tokens": 10}
                body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
                good.append(said | {"response": {"status_code": 200, "body": body}})
        done = self._status(name, "completed")
        for field, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                done[field] = f"{name}-{field}"
                self._files[f"{name}-{field}"] = b"\n".join(json.dumps(row).encode() for row in reversed(rows))
        return web.json_response(done)

    async def create_messages(self, request: web.Request) -> web.Response:
        key = request.headers.get("x-api-key") or request.headers["authorization"]
        assert key.removeprefix("Bearer ") == "secret"
        name = self._add((await request.json())["requests"])
        return web.json_response(self._message_status(request, name, "in_progress"))

    async def retrieve_messages(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        return web.json_response(self._message_status(request, name, "ended" if self._is_done(name) else "in_progress"))

    async def message_results(self, request: web.Request) -> web.Response:
        lines = []
        for row in self.batches[request.match_info["id"]]:
            message = {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "model": "x",
                "stop_sequence": None,
                "content": [{"type": "text", "text": self._say(row["params"])}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 10, "output_tokens": 10},
            }
            lines.append({"custom_id": row["custom_id"], "result": {"type": "succeeded", "message": message}})
        return web.Response(text="\n".join(map(json.dumps, lines)), content_type="application/x-jsonl")

    def _add(self, rows: list[dict[str, Any]]) -> str:
        name = f"batch_{len(self.batches)}"
        self.batches[name] = rows
        return name

    def _is_done(self, name: str) -> bool:
        self.looks[name] = self.looks.get(name, 0) + 1
        return not self.holds and self.looks[name] > 1

    def _status(self, name: str, status: str) -> dict[str, Any]:
        fixed = {"object": "batch", "completion_window": "24h", "created_at": 1, "endpoint": "/v1/chat/completions"}
        return {"id": name, "status": status, "input_file_id": "file", **fixed}

    def _message_status(self, request: web.Request, name: str, status: str) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        url = f"{request.url.origin()}/v1/messages/batches/{name}/results"
        fixed = {"type": "message_batch", "created_at": _DATE, "expires_at": _DATE, "request_counts": counts}
        return {"id": name, "processing_status": status, "results_url": url, **fixed}


@asynccontextmanager
async def serving_batches(server: BatchServer) -> AsyncIterator[BatchServer]:
    app = web.Application()
    app.router.add_get("/v1/models", server.list_models)
    app.router.add_post("/v1/chat/completions", server.complete)
    server.routes(app)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
