"""The arena over HTTP: REST and server-sent events under `/api/arena`, for any client; nothing is decided here.

What goes wrong is `{"error": {"message", "type", "code", "param"}}` with the status that fits. Who calls is told by the
cookie or key of the request; a program keeps the cookie it is given, or shows a key.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from fastchat.access.people import Visitor
from fastchat.arena import api_models as wire
from fastchat.arena.admin_api import admin_routes
from fastchat.arena.config import DEFAULT
from fastchat.arena.files import FileLimits
from fastchat.arena.leaderboard.board import Board
from fastchat.arena.live import Published
from fastchat.arena.service import Arena
from fastchat.arena.transparency.heads import SignedTreeHead
from fastchat.arena.transparency.receipts import ConsistencyProof, Receipt
from fastchat.arena.views import ConversationView, Event, ModelView, SummaryView
from fastchat.core.errors import FastChatError, InvalidRequest
from fastchat.core.http import ClientLeft, EventStream, read_body, while_connected
from fastchat.protocol.openai import error_reply

log = logging.getLogger(__name__)

PREFIX = "/api/arena"
VERSION = "1"
_EVENTS = "text/event-stream"
_NEVER_KEPT = {"cache-control": "no-store"}

Identify: TypeAlias = Callable[[Request], Visitor]
_Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "events: first the state, then what is added to it, the whole state at the end",
        "content": {_EVENTS: {"schema": {"$ref": "#/components/schemas/Event"}}},
    }
}


class ErrorsInWords(APIRoute):
    """What is raised in a route becomes its answer here, whatever app the route is part of."""

    def get_route_handler(self) -> _Handler:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except FastChatError as error:
                return _refusal(error)
            except RequestValidationError as error:
                return _refusal(_in_words(error))
            except HTTPException as error:  # FastAPI's, for a body that is not even JSON
                return _refusal(InvalidRequest(f"{error.detail}."))
            except ClientLeft:
                raise
            except Exception:
                log.exception("%s %s failed", request.method, request.url.path)
                return _refusal(FastChatError("Something went wrong on the server. Its log has the details."))
            response.headers.setdefault("cache-control", "no-store")
            return response

        return answer


def _refusal(error: FastChatError) -> Response:
    body, headers = error_reply(error)
    return JSONResponse(body, error.status, {**_NEVER_KEPT, **headers})


def _in_words(error: RequestValidationError) -> InvalidRequest:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
    return InvalidRequest(f"{'.'.join(place) or 'the body'}: {first['msg']}.", param=place[0] if place else None)


class Followed(Response):
    """A conversation's events to one client; the bytes of each are made once for all of them."""

    media_type = _EVENTS

    def __init__(self, first: Published, others: AsyncGenerator[Published, None], keep_alive_s: float) -> None:
        super().__init__()
        self._first = first
        self._others = others
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._others), EventStream(send, self._keep_alive_s) as stream:
            try:
                await while_connected(receive, self._tell(stream))
            except ClientLeft:
                pass

    async def _tell(self, stream: EventStream) -> None:
        await stream.write(self._first.sse)
        async for published in self._others:
            await stream.write(published.sse)
        await stream.end()


def create_api(
    arena: Arena, identify: Identify, *, keep_alive_s: float = 15.0, limits: FileLimits | None = None
) -> APIRouter:
    """Routes for a FastAPI app. `identify` says who makes a request: `Visitors.of`."""
    file_limits = limits or FileLimits()
    router = APIRouter(prefix=PREFIX, route_class=ErrorsInWords, responses={"default": {"model": wire.ErrorBody}})

    async def visitor(request: Request) -> Visitor:
        return identify(request)

    Who: TypeAlias = Annotated[Visitor, Depends(visitor)]

    async def followed(who: Visitor, conversation_id: str) -> Followed:
        events = arena.published(who, conversation_id)
        return Followed(await anext(events), events, keep_alive_s)

    @router.get("/arenas", summary="Arenas you may enter", tags=["arenas"])
    async def list_arenas(who: Who) -> list[wire.ArenaView]:
        return [wire.arena_view_of(name, config) for name, config in arena.arenas(who).items()]

    @router.get("/models", summary="Models that can be chosen by name", tags=["arenas"])
    async def list_models(who: Who, arena_name: wire.ArenaName = DEFAULT) -> list[ModelView]:
        return arena.models(who, arena_name)

    @router.get(
        "/leaderboard",
        summary="Ratings from the votes so far, in the form that `fastchat leaderboard verify` computes again",
        tags=["arenas"],
        response_class=Response,
        responses={200: {"model": Board}},
    )
    async def leaderboard(who: Who, arena_name: wire.ArenaName = DEFAULT) -> Response:
        board = await arena.leaderboard(who, arena_name)
        return Response(board.model_dump_json(), media_type="application/json")

    @router.get("/questions/random", summary="One of the arena's own questions", tags=["arenas"])
    async def random_question(
        who: Who, arena_name: wire.ArenaName = DEFAULT, category: str | None = None
    ) -> wire.QuestionView:
        return wire.QuestionView(question=tuple(await arena.random_question(who, arena_name, category=category)))

    @router.get("/consent", summary="What you have agreed to", tags=["you"])
    async def show_consent(who: Who, arena_name: wire.ArenaName = DEFAULT) -> wire.ConsentView:
        return wire.consent_view_of(await arena.consent(who, arena_name), arena.config(who, arena_name))

    @router.post("/consent", summary="Agree to the terms of use", tags=["you"], status_code=204)
    async def give_consent(who: Who, given: wire.ConsentGiven) -> None:
        await arena.give_consent(who, given.arena, given.version, may_publish=given.may_publish)

    @router.get("/me", summary="All that is kept of you", tags=["you"])
    async def export_my_data(who: Who) -> Response:
        headers = {"content-disposition": 'attachment; filename="my-data.json"'}
        return Response(await arena.export_my_data(who), media_type="application/json", headers=headers)

    @router.delete("/me", summary="Erase all that is kept of you", tags=["you"], status_code=204)
    async def delete_my_data(who: Who) -> None:
        await arena.delete_my_data(who)

    @router.post("/conversations", summary="Start a conversation", tags=["conversations"], status_code=201)
    async def start(who: Who, wanted: wire.NewConversation) -> ConversationView:
        return await arena.start(
            who,
            wanted.arena,
            wanted.mode,
            models=wanted.models,
            system=wanted.system,
            sampling=wire.sampling_of(wanted.sampling),
            category=wanted.category,
        )

    @router.get("/conversations", summary="Your conversations, the newest first", tags=["conversations"])
    async def history(
        who: Who,
        arena_name: wire.ArenaName = DEFAULT,
        search: Annotated[str, Query(max_length=200)] = "",
        before: Annotated[float | None, Query(description="only those changed before this time")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[SummaryView]:
        return await arena.history(who, arena_name, search=search, before=before, limit=limit)

    @router.get("/conversations/{conversation_id}", summary="A conversation as it stands", tags=["conversations"])
    async def show(who: Who, conversation_id: str) -> ConversationView:
        return await arena.conversation(who, conversation_id)

    @router.patch("/conversations/{conversation_id}", summary="Rename it", tags=["conversations"])
    async def rename(who: Who, conversation_id: str, change: wire.Renaming) -> ConversationView:
        await arena.rename(who, conversation_id, change.title)
        return await arena.conversation(who, conversation_id)

    @router.delete("/conversations/{conversation_id}", summary="Erase it", tags=["conversations"], status_code=204)
    async def delete(who: Who, conversation_id: str) -> None:
        await arena.delete(who, conversation_id)

    @router.get(
        "/conversations/{conversation_id}/follow",
        summary="Its answers while they are written",
        tags=["conversations"],
        response_class=Response,
        responses=_STREAM,
    )
    async def follow(who: Who, conversation_id: str) -> Response:
        return await followed(who, conversation_id)

    @router.post(
        "/conversations/{conversation_id}/turns",
        summary="Ask; with `Accept: text/event-stream` the answer to this request is what `follow` gives",
        tags=["conversations"],
        response_model=ConversationView,
        status_code=202,
        responses=_STREAM,
    )
    async def ask(
        who: Who, conversation_id: str, asked: wire.Asked, accept: Annotated[str, Header()] = ""
    ) -> ConversationView | Response:
        view = await arena.ask(who, conversation_id, asked.parts, sampling=wire.sampling_of(asked.sampling))
        return await followed(who, conversation_id) if _EVENTS in accept else view

    @router.put(
        "/conversations/{conversation_id}/turns/{turn}",
        summary="Ask something else in place of this turn and all that follow",
        tags=["conversations"],
        status_code=202,
    )
    async def edit(who: Who, conversation_id: str, turn: int, asked: wire.Asked) -> ConversationView:
        return await arena.edit(who, conversation_id, turn, asked.parts)

    @router.post("/conversations/{conversation_id}/stop", summary="Stop writing", tags=["conversations"])
    async def stop(who: Who, conversation_id: str) -> ConversationView:
        return await arena.stop(who, conversation_id)

    @router.post(
        "/conversations/{conversation_id}/regenerate",
        summary="Have the last turn answered anew",
        tags=["conversations"],
        status_code=202,
    )
    async def regenerate(who: Who, conversation_id: str) -> ConversationView:
        return await arena.regenerate(who, conversation_id)

    @router.post("/conversations/{conversation_id}/vote", summary="Vote, and learn the names", tags=["votes"])
    async def vote(who: Who, conversation_id: str, cast: wire.Cast) -> wire.Voted:
        view, receipt = await arena.vote(who, conversation_id, cast.token, cast.outcome, reasons=cast.reasons)
        return wire.Voted(conversation=view, receipt=receipt)

    @router.put("/messages/{message_id}/rating", summary="Rate an answer by itself", tags=["votes"], status_code=204)
    async def rate(who: Who, message_id: str, rating: wire.Rating) -> None:
        await arena.rate(who, message_id, rating.thumb, reasons=rating.reasons)

    @router.post("/conversations/{conversation_id}/share", summary="Get a link to show it by", tags=["sharing"])
    async def share(who: Who, conversation_id: str) -> wire.Shared:
        return wire.Shared(path=await arena.share(who, conversation_id))

    @router.delete(
        "/conversations/{conversation_id}/share", summary="Take the link back", tags=["sharing"], status_code=204
    )
    async def unshare(who: Who, conversation_id: str) -> None:
        await arena.unshare(who, conversation_id)

    @router.get("/shared/{share_id}", summary="A conversation somebody shows", tags=["sharing"])
    async def shared(who: Who, share_id: str) -> ConversationView:
        return await arena.shared(share_id, who)

    @router.get("/shared/{share_id}/files/{file_id}", summary="A file in it", tags=["sharing"], response_class=Response)
    async def shared_file(who: Who, share_id: str, file_id: str) -> Response:
        return _file(*await arena.shared_file(share_id, file_id, who))

    @router.post(
        "/files",
        summary="Upload a file for a question: an image, a PDF or text, as the body itself",
        tags=["files"],
        status_code=201,
        openapi_extra={
            "requestBody": {"required": True, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
        },
    )
    async def upload(request: Request, who: Who, name: Annotated[str, Query(max_length=255)] = "") -> wire.FileView:
        content = await read_body(request.scope, request.receive, file_limits.bytes)
        media_type = request.headers.get("content-type", "")
        return wire.FileView(part=await arena.upload(who, content, media_type, name))

    @router.get("/files/{file_id}", summary="A file of yours", tags=["files"], response_class=Response)
    async def file(who: Who, file_id: str) -> Response:
        return _file(*await arena.file(who, file_id))

    @router.get("/log/head", summary="The newest signed head of the log of votes; null without votes", tags=["log"])
    async def log_head() -> SignedTreeHead | None:
        return arena.log_head()

    @router.get("/log/proof", summary="That the newest head continues an older one", tags=["log"])
    async def log_proof(old_size: Annotated[int, Query(ge=0, lt=2**31)]) -> ConsistencyProof:
        return await arena.log_proof(old_size)

    @router.get("/log/receipt/{vote_id}", summary="The receipt of a vote, under the newest head", tags=["log"])
    async def log_receipt(vote_id: str) -> Receipt:
        return await arena.receipt(vote_id)

    admin_routes(router, arena, visitor)

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(openapi_document(router))

    return router


def _file(content: bytes, media_type: str) -> Response:
    """Nothing of it is run by a browser, whatever is in it."""
    headers = {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "content-disposition": "inline" if media_type.startswith("image/") else "attachment",
        "cache-control": "private, max-age=86400, immutable",
    }
    return Response(content, media_type=media_type, headers=headers)


def openapi_document(*routers: APIRouter) -> dict[str, Any]:
    routes = [route for router in routers for route in router.routes]
    document = get_openapi(title="FastChat arena", version=VERSION, description=__doc__, routes=routes)
    event = TypeAdapter[Event](Event).json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= event.pop("$defs") | {"Event": event}  # FastAPI knows of no streams
    return document
