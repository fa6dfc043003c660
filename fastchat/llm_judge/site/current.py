"""The pages of a folder as it is now: read again when one of its files has changed, by a run or by whoever grades."""

import logging
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from fastchat.core.errors import SetupError
from fastchat.llm_judge.site.pages import Site
from fastchat.llm_judge.site.reading import RESULTS, read_bench

log = logging.getLogger(__name__)
_READ = ("question.jsonl", "model_answer/*.jsonl", "reference_answer/*.jsonl", *RESULTS)


class CurrentSite:
    def __init__(self, root: Path, *, can_grade: bool = False) -> None:
        """
        Raises:
            SetupError: as of `read_bench`.
        """
        self._root = root
        self._can_grade = can_grade
        self._lock = Lock()
        self._seen = _changes(root)
        self._site = Site(read_bench(root), can_grade)

    def site(self) -> Site:
        """What cannot be read any more is shown as it was."""
        with self._lock:
            found = _changes(self._root)
            if found != self._seen:
                self._seen = found
                try:
                    self._site = Site(read_bench(self._root), self._can_grade)
                except SetupError as error:
                    log.error("The pages are shown as they were: %s", error.message)
            return self._site


def _changes(root: Path) -> Mapping[Path, tuple[int, int]]:
    """When each file was written last, and how long it is."""
    stats = {file: file.stat() for pattern in _READ for file in root.glob(pattern)}
    return {file: (stat.st_mtime_ns, stat.st_size) for file, stat in stats.items()}
