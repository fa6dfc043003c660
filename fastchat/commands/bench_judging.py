"""How judges are asked: what `fastchat bench run`, `judge` and `anchors` can be told of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.settings import setting
from fastchat.llm_judge.settings import SessionSettings

if TYPE_CHECKING:
    from fastchat.llm_judge.judging import JudgeManner
    from fastchat.llm_judge.prompts import JudgePrompts


class JudgingSettings(SessionSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    judge_prompts: Path | None = setting(None, "JSONL file of prompts in place of ours", "--judge-file", metavar="FILE")
    verdicts: Literal["auto", "json", "text"] = setting(
        "auto", "form of verdicts; auto: JSON where the judge is known to keep to a schema"
    )
    attempts: PositiveInt = setting(3, "how often a verdict is asked for until one can be read", metavar="N")
    max_verdict_tokens: PositiveInt = setting(2048, "longest verdict, reasons included", metavar="N")
    fences: bool = setting(
        True,
        "put answers between fences. --no-fences is unsafe: prompts are sent to the letter, as FastChat does, and an "
        "answer can tell the judge what to say",
    )

    def prompts(self) -> "JudgePrompts":
        """
        Raises:
            SetupError: the file cannot be read, or a prompt in it cannot be used.
        """
        from fastchat.llm_judge.prompts import read_prompts

        return read_prompts(self.judge_prompts)

    def judge_manner(self) -> "Callable[[bool], JudgeManner]":
        """Of a judge that is known to keep to a schema, and of one that is not."""
        from fastchat.llm_judge.judging import JudgeManner

        def manner(holds_to_schema: bool) -> JudgeManner:
            is_json = holds_to_schema if self.verdicts == "auto" else self.verdicts == "json"
            return JudgeManner(self.attempts, self.max_verdict_tokens, is_json=is_json, is_fenced=self.fences)

        return manner
