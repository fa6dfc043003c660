"""A PostgreSQL server for tests and benchmarks: made from nothing, on a Unix socket of its own, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


def postgres_programs() -> Path | None:
    """The folder of `initdb`; Debian keeps it off the PATH, one folder a version."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(versions, key=lambda folder: float(folder.parent.name), default=None)


class PostgresServer:
    def __init__(self, programs: Path, folder: Path, *, syncs: bool) -> None:
        self._programs = programs
        self._folder = folder
        self._syncs = syncs
        # A server refuses to be root.
        self._user: Mapping[str, Any] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        texts = ("--encoding=UTF8", "--locale=C.UTF-8")
        self._run("initdb", "-D", "data", "-U", "tester", "--auth=trust", "--no-sync", *texts)

    @contextmanager
    def removed_at_the_end(self) -> Iterator[None]:
        """Also if this process is killed: then the pipe ends too."""
        script = '"$0" stop -m immediate -D data; rm -rf "$1"'
        command = ["sh", "-c", f"read _; {script}", str(self._programs / "pg_ctl"), str(self._folder)]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            start_new_session=True,  # an interrupt at the keyboard is not for it
            **self._user,
        ):
            yield

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c max_connections=30 -c shared_buffers=64MB"
        if not self._syncs:
            options += " -c fsync=off -c full_page_writes=off"
        self._run("pg_ctl", "start", "-w", "-D", "data", "-l", "log", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """`immediate`: as if it had crashed."""
        self._run("pg_ctl", "stop", "-w", "-D", "data", "-m", mode)

    @property
    def pids(self) -> list[int]:
        """Of the server and of what it has started."""
        server = psutil.Process(int((self._folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [server.pid, *(child.pid for child in server.children(recursive=True))]

    def url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self._folder}"

    def empty(self, database: str) -> str:
        """Its address; faster than to make a new one."""
        statements = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        self._run("psql", "-q", "-h", str(self._folder), "-U", "tester", "-c", statements, database)
        return self.url(database)

    def new_database(self, name: str) -> str:
        """Its address."""
        self._run("createdb", "-h", str(self._folder), "-U", "tester", name)
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        # To a file: the server inherits it, and a pipe would stay open for as long as it lives.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                command,
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                **self._user,
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{program} ended with {done.returncode}: {output.read()}")


@contextmanager
def postgres_server(programs: Path, *, syncs: bool = True) -> Iterator[PostgresServer]:
    """Without `syncs` it survives that it is killed, but not that the power goes."""
    folder = Path(tempfile.mkdtemp(prefix="fastchat-postgres-"))
    server = PostgresServer(programs, folder, syncs=syncs)
    with server.removed_at_the_end():
        server.start()
        yield server
