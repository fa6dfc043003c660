"""The request behind an answer as a shell command, so that a reader can go on without the page."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from fastchat.arena.records import FilePart, Part, Side
from fastchat.arena.views import ConversationView
from fastchat.web.rendering import answer_of, split_thought
from fastchat.web.settings import Parameters

GREETING = {"role": "user", "content": "Hello!"}  # until there is a question of the reader's own


def commands(
    view: ConversationView | None,
    model: str,
    parameters: Parameters,
    api_url: str,
    arena_system: str = "",
    *,
    needs_key: bool,
) -> list[str]:
    """One a side. `model` and `parameters` are those that would be asked first, while there is no conversation."""
    if view is None:
        first = [*_system(arena_system, parameters.system), GREETING]
        return [curl({"model": model, "messages": first}, parameters, api_url, needs_key)]
    asked = _asked_with(view, parameters)
    before = list(_system(arena_system, asked.system))
    return [
        curl({"model": name, "messages": [*before, *_messages(view, side)]}, asked, api_url, needs_key)
        for side, name in zip((Side.LEFT, Side.RIGHT), view.models, strict=False)
        if name
    ]


def curl(body: Mapping[str, Any], parameters: Parameters, api_url: str, needs_key: bool) -> str:
    """The key itself stays out of it."""
    whole = {
        **body,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_tokens": parameters.max_tokens,
        "stream": True,
    }
    lines = [
        f"curl -N {shlex.quote(api_url.rstrip('/') + '/v1/chat/completions')}",
        "-H 'Content-Type: application/json'",
        *(['-H "Authorization: Bearer $FASTCHAT_API_KEY"'] if needs_key else []),
        f"-d {shlex.quote(json.dumps(whole, ensure_ascii=False, indent=2))}",
    ]
    return " \\\n  ".join(lines)


def _asked_with(view: ConversationView, otherwise: Parameters) -> Parameters:
    """What held for the conversation, whatever the sliders say by now; they are back at their start after a reload."""
    set_then = {name: value for name, value in asdict(view.sampling).items() if value is not None}
    return replace(otherwise, **set_then, system=view.system)


def _system(*messages: str) -> Iterator[dict[str, Any]]:
    said = [message.strip() for message in messages if message.strip()]
    if said:
        yield {"role": "system", "content": "\n\n".join(said)}


def _messages(view: ConversationView, side: Side) -> Iterator[dict[str, Any]]:
    """What the model was sent last. Turns that came to nothing were left out there, too."""
    for number, turn in enumerate(view.turns):
        answer = answer_of(turn, side)
        said = split_thought(answer.text)[1] if answer else ""
        is_last = number == len(view.turns) - 1
        if said or is_last:
            yield {"role": "user", "content": _content(turn.question)}
        if said and not is_last:
            yield {"role": "assistant", "content": said}


def _content(question: tuple[Part, ...]) -> str | list[dict[str, Any]]:
    text = "\n\n".join(part.text for part in question if part.text)
    images = [part for part in question if isinstance(part, FilePart) and part.type == "image"]
    if not images:
        return text
    # The image itself would be pages of base64.
    shown = [{"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,…"}} for image in images]
    return [*shown, {"type": "text", "text": text}]


def shell_block(command: str) -> str:
    """As Markdown; the fence is longer than any that the conversation brings along."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return f"{fence}bash\n{command}\n{fence}"


def origin_of(headers: Mapping[str, str]) -> str:
    """Scheme and host as the browser sees them, through however many proxies."""
    scheme = headers.get("x-forwarded-proto", "http").partition(",")[0].strip()
    host = headers.get("x-forwarded-host") or headers.get("host", "localhost")
    return f"{scheme}://{host.partition(',')[0].strip()}"
