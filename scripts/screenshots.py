"""Draw the pictures of `docs/images` anew: the page as it is, over models that say what is written below.

    python scripts/screenshots.py [FOLDER]

Needs Chromium and the test dependencies (playwright).
"""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ROOT = Path(__file__).parents[1]
QUESTION = "Write a Python function that merges overlapping intervals."
SHORT = """Sort the intervals by their beginning, then walk through them once:

```python
def merge(intervals):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
```

Sorting costs $O(n \\log n)$; the walk is linear.
"""
LONG = """Two intervals overlap if one begins **before the other ends**. After sorting, only neighbours can overlap.

1. Keep the last interval of the result.
2. If the next one begins inside it, stretch it.
3. Otherwise append the next one.

| input | output |
|---|---|
| `[(1, 3), (2, 6)]` | `[(1, 6)]` |
| `[(1, 2), (3, 4)]` | `[(1, 2), (3, 4)]` |
"""
SAYINGS = {"Qwen3 8B": SHORT, "Llama 3.1 8B": LONG}
VOTES = ROOT / "tests" / "data" / "llmfao" / "crowd-comparisons.csv.gz"  # by Dmitry Ustalov, CC BY 4.0
EARLIER = ["Explain attention to a pianist", "Plan a week in Lisbon", "Why is the sky dark at night?"]


def says(model: str) -> Iterator[str]:
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": model}
    words = [*re.findall(r"\s*\S+", SAYINGS[model]), "\n"]
    for word in words:
        yield json.dumps(head | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    yield json.dumps(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield json.dumps(
        head
        | {
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": len(words), "total_tokens": 9 + len(words)},
        }
    )


async def models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in SAYINGS]})


async def chat(request: Request) -> Response:
    model = (await request.json())["model"]

    async def events() -> AsyncIterator[str]:
        for event in says(model):
            yield f"data: {event}\n\n"
            await asyncio.sleep(0.004)
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    routes = [Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


def build_board(file: Path) -> None:
    build = [sys.executable, "-m", "fastchat", "leaderboard", "build", "--votes", str(VOTES), "--output", str(file)]
    subprocess.run([*build, "--columns", "model_a=left,model_b=right,voter=worker"], check=True, cwd=ROOT)


@contextmanager
def page_over(api_url: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        board = Path(folder) / "board.json"
        build_board(board)
        arenas = Path(folder) / "arenas.yaml"
        arenas.write_text("default: {integrity: {turns_per_minute: null, dwell_s: 0}}")
        command = [sys.executable, "-m", "fastchat", "web", "--arena", "--port", "0", "--arenas", str(arenas)]
        page = subprocess.Popen(
            [
                *command,
                "--api-url",
                api_url,
                "--public-api-url",
                "https://fastchat.example",
                "--elo-results-file",
                str(board),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FASTCHAT_DATA_DIR": folder, "FASTCHAT_RUN_DIR": folder},
            cwd=ROOT,
        )
        assert page.stderr is not None
        try:
            yield next(found[1] for line in page.stderr if (found := re.search(r"running on (\S+)", line)))
        finally:
            page.terminate()
            page.communicate()


class Photographer:
    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser = browser
        self._url = url
        self._folder = folder

    async def open(self, view: str, *, width: int = 1280, height: int = 800, dark: bool = False) -> Page:
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=2 if width < 500 else 1,
        )
        page = await context.new_page()
        await page.goto(f"{self._url}/?view={view}")
        await page.wait_for_function("document.querySelector('.fc-composer textarea[aria-label]')")
        await page.get_by_role("button", name="I agree to the terms").click()
        await page.wait_for_timeout(1500)
        return page

    async def ask(self, page: Page, text: str) -> None:
        box = page.get_by_role("textbox", name="Message").locator("visible=true")
        await box.fill(text)
        await box.press("Enter")
        await page.locator(".stop-button").locator("visible=true").wait_for(state="visible")
        await page.locator(".submit-button").locator("visible=true").wait_for(state="visible")
        await page.wait_for_timeout(500)

    async def shoot(self, page: Page, name: str) -> None:
        await page.screenshot(path=self._folder / f"{name}.png")
        print(self._folder / f"{name}.png")


async def take_all(photographer: Photographer) -> None:
    page = await photographer.open("battle")
    for question in EARLIER:
        await photographer.ask(page, question)
        await page.keyboard.press("1")
        await page.get_by_text("Your vote counts").wait_for()
        await page.keyboard.press("n")
        await page.wait_for_timeout(500)
    await photographer.shoot(page, "arena-start")
    await photographer.ask(page, QUESTION)
    await photographer.shoot(page, "battle")
    await page.keyboard.press("2")
    await page.get_by_text("Your vote counts").wait_for()
    await page.wait_for_timeout(500)
    await photographer.shoot(page, "battle-voted")

    page = await photographer.open("side_by_side")
    await photographer.ask(page, QUESTION)
    await photographer.shoot(page, "side-by-side")

    page = await photographer.open("direct")
    await photographer.ask(page, QUESTION)
    await photographer.shoot(page, "chat")

    page = await photographer.open("battle", dark=True)
    await photographer.ask(page, QUESTION)
    await photographer.shoot(page, "battle-dark")

    page = await photographer.open("leaderboard")
    await page.get_by_label("Table").select_option("built")
    await page.get_by_role("row").nth(20).wait_for()
    await page.wait_for_timeout(500)
    await photographer.shoot(page, "leaderboard")

    page = await photographer.open("battle", width=390, height=844)
    await photographer.ask(page, QUESTION)
    await photographer.shoot(page, "battle-phone")


async def main(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    async with upstream() as api_url, async_playwright() as playwright:
        url_of = page_over(api_url)
        url = await asyncio.to_thread(url_of.__enter__)
        try:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            await take_all(Photographer(browser, url, folder))
            await browser.close()
        finally:
            await asyncio.to_thread(url_of.__exit__, None, None, None)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
