"""The pages over HTTP, as an ASGI app: to be read, and to be graded on by the one person that it was started for.

`OwnHosts` stands around it where it is a server of its own, so that a page of another site, whose name is made to lead
to this machine, reads and sends nothing.
"""

import ipaddress
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.core.errors import FastChatError
from fastchat.llm_judge.site.grading import Grading, Verdict
from fastchat.llm_judge.site.grading_page import LONGEST_REASON, done_page, grading_page
from fastchat.llm_judge.site.pages import INDEX, Site

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",  # the rest stands in the pages
    "x-content-type-options": "nosniff",
}
_FORM = "application/x-www-form-urlencoded"
_BODY_LIMIT = 4 * LONGEST_REASON * 3 + 1000  # letters of four bytes, each as %XX


def bench_app(site: Callable[[], Site] | None, grading: Grading | None = None) -> ASGIApp:
    """Without `site` there is nothing but what is to be graded: the other pages name the models."""
    routes = _Grades(grading).routes if grading else []

    async def shown(request: Request) -> Response:
        if site is None:
            return RedirectResponse("grade/next", 303, _HEADERS)
        content = await run_in_threadpool(lambda: site().page(request.path_params.get("page") or INDEX))
        if content is None:
            raise HTTPException(404)
        return HTMLResponse(content.encode("utf-8", "replace"), headers=_HEADERS)

    pages = [Route("/", shown), *([Route("/{page:path}", shown)] if site else [])]
    return Starlette(routes=[*routes, *pages], exception_handlers={FastChatError: _refused})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, FastChatError)
    return PlainTextResponse(error.message, error.status, _HEADERS)


class _Grades:
    def __init__(self, grading: Grading) -> None:
        self._grading = grading
        self._token = secrets.token_urlsafe(24)

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/grade", self._enter),
            Route("/grade/next", self._next),
            Route("/grade/{number:int}", self._ask),
            Route("/grade/{number:int}", self._grade, methods=["POST"]),
        ]

    async def _enter(self, _: Request) -> Response:
        return RedirectResponse("grade/next", 303, _HEADERS)

    async def _next(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        graded = await self._graded()
        at = self._grading.next_of(graded, int(after) - 1 if after.isdecimal() and len(after) < 10 else -1)
        if at is None:
            return HTMLResponse(done_page(self._grading, graded), headers=_HEADERS)
        return RedirectResponse(str(at + 1), 303, _HEADERS)

    async def _ask(self, request: Request) -> Response:
        shown = grading_page(self._grading, self._place(request), await self._graded(), self._token)
        return HTMLResponse(shown.encode("utf-8", "replace"), headers=_HEADERS)

    async def _grade(self, request: Request) -> Response:
        at = self._place(request)
        sent = await _form(request)
        origin = request.headers.get("origin")
        if origin not in (None, f"{request.url.scheme}://{request.headers.get('host')}"):
            raise HTTPException(403, "This form was sent by another site.")
        if not secrets.compare_digest(sent.get("token", "").encode(), self._token.encode()):
            raise HTTPException(403, "This form is of another run of the server. Open the page again, and grade there.")
        reason = "\n".join(sent.get("reason", "").splitlines()).strip()
        if len(reason) > LONGEST_REASON:
            raise HTTPException(413, f"The reason has more than {LONGEST_REASON} letters.")
        await run_in_threadpool(self._grading.grade, at, sent.get("choice", ""), reason)
        return RedirectResponse(f"next?after={at + 1}", 303, _HEADERS)

    def _place(self, request: Request) -> int:
        number: int = request.path_params["number"]
        if not 1 <= number <= len(self._grading.tasks):
            raise HTTPException(404)
        return number - 1

    async def _graded(self) -> Mapping[int, Verdict]:
        return await run_in_threadpool(self._grading.graded)


async def _form(request: Request) -> Mapping[str, str]:
    """The first value of each field."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise HTTPException(415, "A grade is sent as a form.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_LIMIT:
            raise HTTPException(413, "The form is too large.")
    fields = parse_qs(body.decode("utf-8", "replace"), encoding="utf-8", errors="replace", max_num_fields=10)
    return {field: values[0] for field, values in fields.items()}


class OwnHosts:
    """Answers calls for `host`, localhost or an address; names that others may point at this machine are refused."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = frozenset(("localhost", host.lower()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_own(Headers(scope=scope).get("host", "")):
            refusal = PlainTextResponse("This server does not go by that name.", 421, _HEADERS)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_own(self, named: str) -> bool:
        name = named.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] or name
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
