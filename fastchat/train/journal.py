"""The numbers of a run, a line of JSON each time they are logged: `log.jsonl` in its folder."""

import json
from pathlib import Path
from typing import Any

import transformers

NAME = "log.jsonl"


class Journal(transformers.TrainerCallback):  # type: ignore[misc]  # transformers has no types for us
    """Begins again with what a checkpoint knows, so that no step stands there twice."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.is_world_process_zero:
            folder = Path(args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / NAME).write_text("".join(map(_line, state.log_history)), "utf-8")

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.is_world_process_zero and state.log_history:
            with (Path(args.output_dir) / NAME).open("a", encoding="utf-8") as stream:
                stream.write(_line(state.log_history[-1]))


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"
