"""A page of Gradio's as a browser plays it, without one: what it asks for when it opens, and the chains of events after
a question. The page's own description (`/config`) says which these are; what only scripts do is passed over.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import aiohttp

Tell: TypeAlias = Callable[[str, float], None]  # an event of the stream, and when it came
_Dependency: TypeAlias = Mapping[str, Any]

_MODELS_EVERY_S = 2.0  # how often the page's script looks whether models have changed
_BOXES = ("multimodaltextbox", "textbox")


class Description:
    """What a page is made of; the same for all who open it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.components = {component["id"]: component for component in config["components"]}
        self.dependencies: dict[int, _Dependency] = {one["id"]: one for one in config["dependencies"]}
        self.is_ours = self.by_elem_id("fc-page") is not None

    def by_elem_id(self, elem_id: str) -> int | None:
        return next((key for key, one in self.components.items() if one["props"].get("elem_id") == elem_id), None)

    def first_box(self) -> int:
        return next(key for kind in _BOXES for key, one in self.components.items() if one["type"] == kind)

    def triggered(self, component: int | None, event: str) -> Iterator[_Dependency]:
        for one in self.dependencies.values():
            if any(name == event and component in (None, target) for target, name in one["targets"]):
                yield one

    def after(self, dependency: _Dependency) -> Iterator[_Dependency]:
        for one in self.dependencies.values():
            if one["trigger_after"] == dependency["id"] and not one["trigger_only_on_failure"]:
                yield one


class GradioPage:
    def __init__(self, session: aiohttp.ClientSession, url: str, name: str, *, composer: str = "") -> None:
        self._session = session
        self._url = url
        self._name = name
        self._composer = composer
        self._headers: dict[str, str] = {}
        self._values: dict[int, Any] = {}
        self._waiting: dict[str, asyncio.Future[Sequence[Any]]] = {}
        self._stream: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        self._tell: Tell = lambda event, now: None

    async def open(self) -> None:
        """The document with its cookie, its description, and what the browser asks for at once."""
        page = await self._get("/", {"accept": "text/html"})
        if cookie := page.headers.get("set-cookie"):
            self._headers["cookie"] = cookie.partition(";")[0]
        self._page = page = Description(json.loads(_config_in(await page.text())))
        self._values = {key: _first_value(one) for key, one in page.components.items()}
        self._beside.append(asyncio.create_task(self._listen(f"/gradio_api/heartbeat/{self._name}")))
        await asyncio.gather(*(self._fire(one) for one in page.triggered(None, "load")))
        if page.is_ours:
            self._beside.append(asyncio.create_task(self._look_for_models()))
            refresh = page.by_elem_id(self._composer.replace("composer", "refresh"))
            await asyncio.gather(*(self._fire(one) for one in page.triggered(refresh, "click")))

    async def ask(self, question: str, tell: Tell) -> None:
        """Everything that follows from sending it, to the end."""
        self._tell = tell
        box = self._page.by_elem_id(self._composer) if self._composer else self._page.first_box()
        assert box is not None, f"the page has no {self._composer}"
        has_files = self._page.components[box]["type"] == "multimodaltextbox"
        self._values[box] = {"text": question, "files": []} if has_files else question
        await asyncio.gather(*(self._fire(one) for one in self._page.triggered(box, "submit")))

    async def close(self) -> None:
        tasks = [*self._beside, *([self._stream] if self._stream else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fire(self, dependency: _Dependency) -> None:
        if dependency["backend_fn"]:
            run = self._queued if dependency["queue"] else self._at_once
            values = await run(self._call(dependency))
            for key, value in zip(dependency["outputs"], values, strict=False):
                self._take(key, value)
        await asyncio.gather(*(self._fire(one) for one in self._page.after(dependency)))

    def _call(self, dependency: _Dependency) -> Mapping[str, Any]:
        is_state = {key for key in dependency["inputs"] if self._page.components[key]["type"] == "state"}
        data = [None if key in is_state else self._values[key] for key in dependency["inputs"]]
        which = {"fn_index": dependency["id"], "trigger_id": 0, "session_hash": self._name}
        return {"data": data, "event_data": None, **which}

    def _take(self, key: int, value: Any) -> None:
        if isinstance(value, dict) and value.get("__type__") == "update":
            if "value" in value:
                self._values[key] = value["value"]
        else:
            self._values[key] = value

    async def _at_once(self, call: Mapping[str, Any]) -> Sequence[Any]:
        answer = await self._post("/gradio_api/run/predict", call)
        data: Sequence[Any] = answer["data"]
        return data

    async def _queued(self, call: Mapping[str, Any]) -> Sequence[Any]:
        event = (await self._post("/gradio_api/queue/join", call))["event_id"]
        done = self._waiting[event] = asyncio.get_running_loop().create_future()
        # Like the browser: one stream for all that waits, opened when something does.
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._listen(f"/gradio_api/queue/data?session_hash={self._name}"))
        data: Sequence[Any] = await done
        return data

    def _read(self, event: str, now: float) -> None:
        self._tell(event, now)
        if '"process_completed"' not in event:
            return
        message = json.loads(event.removeprefix("data: "))
        waiting = self._waiting.pop(message["event_id"], None)
        if waiting is None or waiting.done():
            return
        if message["success"]:
            waiting.set_result(message["output"].get("data", []))
        else:
            waiting.set_exception(RuntimeError(f"an event of the page failed: {message['output']}"))

    async def _listen(self, path: str) -> None:
        async with self._session.get(self._url + path, headers=self._headers) as reply:
            reply.raise_for_status()
            rest = b""
            async for piece in reply.content.iter_any():
                now = time.monotonic()
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    self._read(event.decode(), now)
                    if '"close_stream"' in event.decode():
                        return

    async def _look_for_models(self) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                await self._get("/models-version", {})
            await asyncio.sleep(_MODELS_EVERY_S)

    async def _get(self, path: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        async with self._session.get(self._url + path, headers={**self._headers, **headers}) as reply:
            reply.raise_for_status()
            await reply.read()
            return reply

    async def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        async with self._session.post(self._url + path, json=body, headers=self._headers) as reply:
            reply.raise_for_status()
            answer: Mapping[str, Any] = await reply.json()
            return answer


def _first_value(component: Mapping[str, Any]) -> Any:
    value = component["props"].get("value")
    return "" if value is None and component["type"] == "textbox" else value  # as the browser has it


def _config_in(document: str) -> str:
    """What Gradio puts into its document for the script that starts there."""
    _, _, rest = document.partition("window.gradio_config = ")
    return rest.partition(";</script>")[0]
