"""The request behind an answer as a shell command, so that a reader can go on without the page."""

import json
import re
import shlex
from collections.abc import Mapping

from fastchat.web.answering import Question
from fastchat.web.session import Message

GREETING: Message = {"role": "user", "content": "Hello!"}  # until there is a question of the reader's own


def curl(question: Question, api_url: str, *, needs_key: bool) -> str:
    """The key itself stays out of it."""
    body = question.body() | ({} if question.messages else {"messages": [GREETING]})
    lines = [
        f"curl -N {shlex.quote(api_url.rstrip('/') + '/v1/chat/completions')}",
        "-H 'Content-Type: application/json'",
        *(['-H "Authorization: Bearer $FASTCHAT_API_KEY"'] if needs_key else []),
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}",
    ]
    return " \\\n  ".join(lines)


def shell_block(command: str) -> str:
    """As Markdown; the fence is longer than any that the conversation brings along."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return f"{fence}bash\n{command}\n{fence}"


def origin_of(headers: Mapping[str, str]) -> str:
    """Scheme and host as the browser sees them, through however many proxies."""
    scheme = headers.get("x-forwarded-proto", "http").partition(",")[0].strip()
    host = headers.get("x-forwarded-host") or headers.get("host", "localhost")
    return f"{scheme}://{host.partition(',')[0].strip()}"
