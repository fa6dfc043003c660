"""Files that readers have attached to a question they have not asked yet: in a folder of their own, for a short time.

Gradio writes them there; `composer` hands them to the arena and forgets them once their question is asked. What nobody
sends is removed by Gradio.
"""

import os
from collections.abc import Iterator
from pathlib import Path

KEPT_S = 900
LOOKED_AFTER_S = 300


class Uploads:
    def __init__(self, folder: Path, *, file_limit: int, total_limit: int) -> None:
        self.folder = folder.resolve()
        self.file_limit = file_limit
        self._total_limit = total_limit

    @property
    def body_limit(self) -> int:
        """Of a request that brings one file, its envelope included."""
        return self.file_limit + 64 * 2**10

    def have_room_for(self, size: int) -> bool:
        return size + sum(_sizes(self.folder)) <= self._total_limit

    def is_one(self, path: str) -> bool:
        """Whether a path of Gradio's leads to a file here; the composer shows what is attached."""
        prefix = f"/gradio_api/file={self.folder}/"
        return path.startswith(prefix) and ".." not in path


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, files in os.walk(folder):
        for name in files:
            try:
                yield (Path(parent) / name).stat().st_size
            except OSError:
                continue  # its question was asked meanwhile
