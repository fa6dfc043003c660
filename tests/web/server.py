"""A command of ours as a process, found by the line it prints when it serves."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from types import TracebackType
from typing import Self

WATCH = """
import sys
def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
        print("CALLED", arguments, file=sys.stderr)
sys.addaudithook(watch)
from fastchat.__main__ import main
main()
"""


class Server:
    """`fastchat SUBCOMMAND`, on a free port unless it inherits a socket. `watched`: it prints whom it calls."""

    def __init__(self, subcommand: str, *flags: str, pass_fds: tuple[int, ...] = (), watched: bool = False) -> None:
        command = [sys.executable, *(["-c", WATCH] if watched else ["-m", "fastchat"]), subcommand]
        self._run_dir = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [*command, *(() if pass_fds else ("--port", "0")), *flags],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
            env={**os.environ, "FASTCHAT_RUN_DIR": self._run_dir.name, "FASTCHAT_DATA_DIR": self._run_dir.name},
        )
        self.lines: list[str] = []
        self._serves = threading.Event()
        self._reader = threading.Thread(target=self._read)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.lines.append(line)
                if "Uvicorn running on" in line:
                    self._serves.set()
        self.process.wait()
        self._serves.set()  # it ended; whoever waits has to see that

    @property
    def url(self) -> str:
        return next(found[1] for line in self.lines if (found := re.search(r"running on (\S+)", line)))

    def __enter__(self) -> Self:
        self._reader.start()
        self._serves.wait()
        if self.process.poll() is not None:
            self.__exit__()
            raise AssertionError("the server did not start:\n" + "".join(self.lines))
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=30)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
        self._reader.join()
        self._run_dir.cleanup()
