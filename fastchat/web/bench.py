"""An evaluation beside the chat, at `/bench/`: the pages of `fastchat bench browse`, to be read, not graded on."""

from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fastchat.llm_judge.site.app import bench_app
from fastchat.llm_judge.site.current import CurrentSite


def bench_routes(folder: Path, root: str) -> Sequence[BaseRoute]:
    """`root` is the path a proxy shows us under.

    Raises:
        SetupError: it is no folder of answers and judgments.
    """

    async def enter(_: Request) -> Response:
        return RedirectResponse(f"{root}/bench/", 307)  # the pages' own links are relative

    return [Route("/bench", enter), Mount("/bench", bench_app(CurrentSite(folder).site))]
