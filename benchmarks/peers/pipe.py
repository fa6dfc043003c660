"""The smallest streaming proxy one can write with uvicorn and aiohttp: what a hop costs before it does anything.

It knows one upstream, checks nothing, counts nothing and survives nothing; it does stop when the client has left.
"""

import asyncio
import sys

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send


class BarePipe:
    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        headers = {"content-type": "application/json"}
        async with self._session.request(
            scope["method"], self._upstream + scope["path"], data=body, headers=headers
        ) as answer:
            kept = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() in _KEPT]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            left = asyncio.ensure_future(receive()) if answer.content_type == "text/event-stream" else None
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if left and left.done():
                    return
            if left:
                left.cancel()
        await send({"type": "http.response.body", "body": b""})


_KEPT = (b"content-type", b"content-length")


if __name__ == "__main__":
    uvicorn.run(BarePipe(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
