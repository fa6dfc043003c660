"""One answer while it is written, and what can be told of it afterwards."""

from dataclasses import dataclass

from fastchat.client.chat import ChatDelta, ChatUsage


@dataclass(slots=True)
class Answer:
    """Times are readings of one monotonic clock."""

    asked_at: float
    text: str = ""
    reasoning: str = ""
    first_token_at: float | None = None
    ended_at: float | None = None
    finish_reason: str | None = None
    usage: ChatUsage | None = None
    is_stopped: bool = False  # by the user

    def add(self, delta: ChatDelta, now: float) -> None:
        if self.first_token_at is None and (delta.text or delta.reasoning):
            self.first_token_at = now
        self.text += delta.text
        self.reasoning += delta.reasoning
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage

    @property
    def time_to_first_token_s(self) -> float | None:
        return None if self.first_token_at is None else self.first_token_at - self.asked_at

    @property
    def tokens_per_s(self) -> float | None:
        """How fast it was written once it had begun; the first token belongs to the time before."""
        if self.usage is None or self.first_token_at is None or self.ended_at is None:
            return None
        tokens, writing_s = self.usage.completion_tokens - 1, self.ended_at - self.first_token_at
        return tokens / writing_s if tokens > 0 and writing_s > 0 else None

    def summary(self) -> str:
        """One line: how long, how fast, and how it ended unless it simply ended."""
        facts = []
        if self.usage is not None:
            facts.append(_count(self.usage.completion_tokens, "token"))
        if self.tokens_per_s is not None:
            facts.append(f"{self.tokens_per_s:.1f} tokens/s")
        if self.time_to_first_token_s is not None:
            facts.append(f"first after {self.time_to_first_token_s:.2f} s")
        if self.is_stopped:
            facts.append("stopped")
        if self.finish_reason == "length":
            facts.append("cut off at the limit, see /max_tokens")
        return " · ".join(facts)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
