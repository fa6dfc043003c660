"""Checkpoints of an unfinished run: which one to go on from."""

import json
from pathlib import Path

STATE = "trainer_state.json"  # written last, so what has it is whole


def last_complete(output: Path, kind: str = "checkpoint") -> Path | None:
    return next(reversed(complete(output, kind)), None)


def complete(output: Path, kind: str = "checkpoint") -> list[Path]:
    """`KIND-STEP`, the oldest first; one that its process did not finish is passed over."""
    numbered = [
        (int(number), folder)
        for folder in output.glob(f"{kind}-*")
        if (number := folder.name.removeprefix(f"{kind}-")).isdigit() and _is_complete(folder)
    ]
    return [folder for _, folder in sorted(numbered)]


def _is_complete(folder: Path) -> bool:
    try:
        json.loads((folder / STATE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True
