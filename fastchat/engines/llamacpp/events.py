"""The events of a streamed answer, in the two forms the server has, brought to one.

/completion      {"content": " city", "tokens": [2240], "stop": false, "completion_probabilities": [{…}]}
                 {"content": "", "stop": true, "stop_type": "limit", "timings": {"cache_n": 3, "prompt_n": 1, …}}
/v1/chat/…       {"choices": [{"delta": {"content": " city"}, "finish_reason": null, "logprobs": {"content": […]}}]}
                 {"choices": [{"delta": {}, "finish_reason": "length"}], "timings": {…}}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastchat.engines.base import FinishReason, TokenLogprob, ToolCallDelta, Usage

Event: TypeAlias = Mapping[str, Any]
_FINISH: Mapping[str, FinishReason] = {"limit": "length", "length": "length", "tool_calls": "tool_calls"}


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event adds to the answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    last_token: int | None = None  # known only where logprobs were asked for
    finish_reason: FinishReason | None = None
    usage: Usage | None = None  # so far


Reader: TypeAlias = Callable[[Event, int], Piece]


def read_completion(event: Event, alternatives: int) -> Piece:
    entries = event.get("completion_probabilities") or ()
    return Piece(
        text=event.get("content", ""),
        logprobs=_logprobs(entries, alternatives),
        last_token=entries[-1]["id"] if entries else None,
        finish_reason=_FINISH.get(event.get("stop_type", ""), "stop") if event.get("stop") else None,
        usage=_usage(event),
    )


def read_chat(event: Event, alternatives: int) -> Piece:
    choices: Sequence[Event] = event.get("choices") or ({},)
    choice = choices[0]
    delta = choice.get("delta", {})
    entries = (choice.get("logprobs") or {}).get("content") or ()
    reason = choice.get("finish_reason")
    return Piece(
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning_content") or "",
        tool_calls=tuple(_call(part) for part in delta.get("tool_calls") or ()),
        logprobs=_logprobs(entries, alternatives),
        last_token=entries[-1]["id"] if entries else None,
        finish_reason=_FINISH.get(reason, "stop") if reason else None,
        usage=_usage(event),
    )


def _usage(event: Event) -> Usage | None:
    if timings := event.get("timings"):
        return Usage(timings["cache_n"] + timings["prompt_n"], timings["predicted_n"], timings["cache_n"])
    return None


def _call(part: Mapping[str, Any]) -> ToolCallDelta:
    function = part.get("function", {})
    return ToolCallDelta(part.get("index", 0), part.get("id"), function.get("name"), function.get("arguments") or "")


def _logprobs(entries: Sequence[Mapping[str, Any]], alternatives: int) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            entry["token"],
            entry["logprob"],
            tuple(entry["bytes"]),
            tuple(
                TokenLogprob(other["token"], other["logprob"], tuple(other["bytes"]))
                for other in entry["top_logprobs"][:alternatives]
            ),
        )
        for entry in entries
    )
