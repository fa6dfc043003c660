"""Texts → vectors of unit length, by an embedding model: one loaded here, or one that a server has.

A text that is too long for the model is cut in half until it fits; what a prompt is about is said early.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fastchat.client.pipe import Call, Pipe
from fastchat.core.errors import (
    AuthenticationFailed,
    InvalidRequest,
    PermissionDenied,
    WorkerFailed,
)
from fastchat.ranking.comparisons import Floats

PATH = "/v1/embeddings"
_SHORTEST = 8  # characters; what refuses so few refuses something else
_REFUSALS: Mapping[int, type[AuthenticationFailed | PermissionDenied]] = {
    401: AuthenticationFailed,
    403: PermissionDenied,
}


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A row for each text.

        Raises:
            InvalidRequest: a text is too long, or something else is wrong with them.
            UpstreamError: the model failed.
        """
        ...


class ServedEmbedder:
    """A model of a fleet, over `/v1/embeddings`."""

    def __init__(self, pipe: Pipe, model: str, api_key: str | None = None) -> None:
        self._pipe = pipe
        self._model = model
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        fields = {"model": self._model, "input": list(texts)}
        call = Call(PATH, self._model, json.dumps(fields).encode(), fields, self._headers)
        async with self._pipe.send(call) as answer:
            if answer.status != 200:
                raise _refusal(answer.status, answer.body, self._model)
            return _rows(answer.body, len(texts))


async def embed_all(
    embedder: Embedder,
    texts: Sequence[str],
    *,
    batch_size: int,
    concurrency: int = 4,
    tell: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Rows (texts, size) of unit length. `tell` hears how many are done.

    Raises:
        InvalidRequest, UpstreamError: a text could not be embedded, however short.
    """
    starts = range(0, len(texts), batch_size)
    rows: dict[int, Sequence[Sequence[float]]] = {}
    free = asyncio.Semaphore(concurrency)

    async def embed(start: int) -> None:
        async with free:
            rows[start] = await _embedded(embedder, texts[start : start + batch_size])
        tell(sum(map(len, rows.values())))

    try:
        async with asyncio.TaskGroup() as tasks:
            for start in starts:
                tasks.create_task(embed(start))
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    vectors = np.array([row for start in starts for row in rows[start]], dtype=np.float64)
    return unit_length(vectors)


def unit_length(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


async def _embedded(embedder: Embedder, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    try:
        return await embedder.embed(texts)
    except InvalidRequest:
        if len(texts) > 1:
            middle = len(texts) // 2
            return [*await _embedded(embedder, texts[:middle]), *await _embedded(embedder, texts[middle:])]
        if len(texts[0]) <= _SHORTEST:
            raise
        return await _embedded(embedder, [texts[0][: math.ceil(len(texts[0]) / 2)]])


def _rows(body: bytes, wanted: int) -> Sequence[Sequence[float]]:
    try:
        data: list[Any] = json.loads(body)["data"]  # Any: JSON
        rows = {int(item["index"]): [float(number) for number in item["embedding"]] for item in data}
        found = [rows[number] for number in range(wanted)]
    except (ValueError, KeyError, TypeError):
        raise WorkerFailed(f"The server sent something that is no list of {wanted} embeddings.") from None
    if len({len(row) for row in found}) > 1:
        raise WorkerFailed("The server sent embeddings of different lengths.")
    return found


def _refusal(
    status: int, body: bytes, model: str
) -> AuthenticationFailed | PermissionDenied | InvalidRequest | WorkerFailed:
    try:
        error = json.loads(body)["error"]
        said = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        said = f"The server answered with status {status}."
    if status == 404:
        return WorkerFailed(f"{said} Is {model!r} a model for embeddings?")
    if status in _REFUSALS:
        return _REFUSALS[status](said)
    return InvalidRequest(said) if status in (400, 413, 422) else WorkerFailed(said)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
