"""What calls cost, and a limit that is kept: the most a call can cost is set aside before it is sent.

The ledger is a file beside the results, one line a call that was answered, so that the same command run again goes on
with the same budget. What was in flight when a process was killed stands in no ledger.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import SEEK_END, FileIO
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.prices import Price, PriceList

FILE = "costs.jsonl"
_TOKENS_PER_MESSAGE = 8  # for what a chat template puts around one


def _bytes(text: str) -> int:
    """Of what models say, too, who may send half a character."""
    return len(text.encode("utf-8", "surrogatepass"))


class BudgetSpent(Exception):
    """What is left does not suffice for this call. No failure of anybody: the run ends here."""


def most_prompt_tokens(call: Call) -> int:
    """A token has at least one byte, so there cannot be more."""
    return sum(_bytes(message["content"]) + _TOKENS_PER_MESSAGE for message in call.messages)


@dataclass(slots=True)
class Spending:
    """What was spent so far, by this run and those before it."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced_calls: int = 0  # of models whose price nobody knows
    by_model: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, prompt_tokens: int, completion_tokens: int, usd: float | None) -> None:
        self.calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.usd += usd or 0.0
        self.unpriced_calls += usd is None
        self.by_model[model] = self.by_model.get(model, 0.0) + (usd or 0.0)


def read_spending(folder: Path) -> Spending:
    """What the ledger of a folder says. A last line that was cut off counts for nothing.

    Raises:
        SetupError: another line is no line of a ledger.
    """
    spending = Spending()
    file = folder / FILE
    if not file.is_file():
        return spending
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line)
                spending.add(row["model"], row["prompt_tokens"], row["completion_tokens"], row["usd"])
            except (ValueError, KeyError, TypeError):
                raise SetupError(f"{file}, line {number} is no line of a ledger. Mend it or take it out.") from None
    return spending


class Budget:
    """Prices, what was spent, and what may be. `limit_usd` None: no limit, and prices may be unknown."""

    def __init__(
        self,
        prices: PriceList,
        folder: Path,
        limit_usd: float | None = None,
        *,
        free: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`free` holds models that nobody bills: those that run here."""
        self._prices = prices
        self._limit_usd = limit_usd
        self._free = free
        self._clock = clock
        self._file = folder / FILE
        self.spending = read_spending(folder)
        self._reserved = 0.0
        self._changed = asyncio.Condition()

    def price(self, model: str) -> Price | None:
        """None where nobody knows."""
        return Price(0.0, 0.0) if model in self._free else self._prices.find(model)

    @property
    def left_usd(self) -> float | None:
        return None if self._limit_usd is None else max(0.0, self._limit_usd - self.spending.usd)

    def check(self, model: str) -> None:
        """
        Raises:
            SetupError: a limit cannot be kept, because nobody knows what the model costs.
        """
        if self._limit_usd is not None and self.price(model) is None:
            raise SetupError(
                f"--budget cannot be kept: no price is known for the model {model!r}. Write one into a file, "
                f'[[price]] match = "{model}" input = … output = … (USD per million tokens), and give it as --prices.'
            )

    @contextmanager
    def ledger(self) -> Iterator[Callable[[Ask], Ask]]:
        """Opens the ledger; what is given makes a way of asking one that is paid for."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        _end_last_line(self._file)
        with self._file.open("ab", buffering=0) as lines:

            def paid(ask: Ask) -> Ask:
                async def pay(call: Call) -> Reply:
                    most = self._most(call)
                    await self._reserve(most)
                    try:
                        reply = await ask(call)
                        self._write(lines, self._charge(call, reply) + b"\n")
                        return reply
                    finally:
                        await self._release(most)

                return pay

            yield paid

    def _write(self, lines: FileIO, line: bytes) -> None:
        """
        Raises:
            SetupError: there is no room, or no permission.
        """
        end = lines.seek(0, SEEK_END)
        try:
            is_whole = lines.write(line) == len(line)
        except OSError as error:
            raise SetupError(f"{self._file} cannot be written to: {error.strerror or error}.") from None
        if not is_whole:
            lines.truncate(end)
            raise SetupError(f"{self._file} cannot be written to. Is the disk full?")

    def _most(self, call: Call) -> float:
        price = self.price(call.model)
        return 0.0 if price is None else price.of(most_prompt_tokens(call), call.max_tokens)

    async def _reserve(self, usd: float) -> None:
        """Waits while calls in flight may yet turn out cheaper than what is set aside for them."""
        if self._limit_usd is None or usd == 0:
            return
        async with self._changed:
            while self.spending.usd + self._reserved + usd > self._limit_usd:
                if self._reserved <= 0:
                    raise BudgetSpent
                await self._changed.wait()
            self._reserved += usd

    async def _release(self, usd: float) -> None:
        if self._limit_usd is None or usd == 0:
            return
        async with self._changed:
            self._reserved -= usd
            if self._reserved < 1e-12:  # sums of floats do not always come back to 0
                self._reserved = 0.0
            self._changed.notify_all()

    def _charge(self, call: Call, reply: Reply) -> bytes:
        """Count a call in; its line for the ledger. Where the server does not count, the most there can be counts."""
        prompt = most_prompt_tokens(call) if reply.prompt_tokens is None else reply.prompt_tokens
        written = _bytes(reply.text) if reply.completion_tokens is None else reply.completion_tokens
        price = self.price(call.model)
        if price is not None and reply.in_batch:
            price = price.in_batch
        usd = None if price is None else price.of(prompt, written)
        self.spending.add(call.model, prompt, written, usd)
        row = {
            "model": call.model,
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "usd": usd,
            "tstamp": self._clock(),
        }
        return json.dumps(row).encode()


def _end_last_line(file: Path) -> None:
    """Take away half a line that a killed process left, so that the next one stands by itself."""
    if not file.is_file():
        return
    data = file.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with file.open("r+b") as opened:
            opened.truncate(whole)
