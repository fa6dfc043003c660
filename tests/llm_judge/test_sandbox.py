import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.sandbox import Limits, Run, Why, run_python

HASTY = Limits(wall_s=1.0, cpu_s=1)
ALL_GUARDS = ("landlock", "seccomp")


def needs_kernel(run: Run) -> None:
    if run.guards != ALL_GUARDS:
        pytest.skip("this kernel lacks Landlock or seccomp")


def test_program_that_ends_has_passed() -> None:
    run = run_python("import sys; print(sys.stdin.read()[::-1]); print('aside', file=sys.stderr)", stdin="olleh")

    assert (run.passed, run.why, run.output, run.error) == (True, Why.DONE, "hello\n", "aside\n")
    assert run.duration_s > 0


@pytest.mark.parametrize(
    ("program", "last"),
    [
        ("def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero"),
        ("if True print(1)", "SyntaxError: invalid syntax"),
        ("class Mine(BaseException): pass\nraise Mine('x')", "Mine: x"),
        ("import sys; sys.exit('bye')", "bye"),
    ],
)
def test_exception_is_told_without_our_own_frames(program: str, last: str) -> None:
    run = run_python(program)

    assert (run.passed, run.why) == (False, Why.EXCEPTION)
    assert run.error.rstrip().endswith(last)
    assert "sandboxed" not in run.error


def test_modules_that_answers_use_can_be_imported() -> None:
    names = "asyncio collections csv dataclasses datetime decimal fractions functools hashlib heapq itertools json math"
    names += " random re sqlite3 statistics string textwrap threading typing unicodedata zoneinfo"
    program = f"import {', '.join(names.split())}\nasync def three(): return 3\nprint(asyncio.run(three()))"

    assert run_python(program).output == "3\n"


def test_threads_may_be_started() -> None:
    run = run_python("import threading; t = threading.Thread(target=print, args=('other',)); t.start(); t.join()")
    needs_kernel(run)

    assert run.output == "other\n"


@pytest.mark.parametrize("program", ["while True: pass", "try:\n while True: pass\nexcept BaseException: pass"])
def test_endless_loop_is_stopped_by_processor_time(program: str) -> None:
    run = run_python(program, limits=Limits(wall_s=30, cpu_s=1))

    assert run.why is Why.TIME


def test_sleeper_is_stopped_by_the_clock() -> None:
    run = run_python("import time; print('on', flush=True); time.sleep(60)", limits=HASTY)

    assert (run.why, run.output, run.passed) == (Why.TIME, "on\n", False)


def test_closing_its_output_does_not_free_a_program_of_the_clock() -> None:
    run = run_python("import os, time; os.close(1); os.close(2); time.sleep(60)", limits=HASTY)

    assert run.why is Why.TIME


@pytest.mark.parametrize("program", ["x = bytearray(10**10)", "x = []\nwhile True: x.append(bytearray(10**7))"])
def test_memory_is_limited(program: str) -> None:
    assert run_python(program).why is Why.MEMORY


def test_threads_are_bounded_by_memory() -> None:
    program = (
        "import threading\nstop = threading.Event()\ncount = 0\n"
        "try:\n    while count < 5000: threading.Thread(target=stop.wait, daemon=True).start(); count += 1\n"
        "except RuntimeError: pass\nprint(count)\nstop.set()"
    )

    assert int(run_python(program).output) < 1000


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_is_bounded(stream: str) -> None:
    run = run_python(f"import sys\nwhile True: sys.{stream}.write('x' * 10000)")

    assert run.why is Why.OUTPUT
    assert len(run.output) + len(run.error) == Limits().output_bytes


def test_environment_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    run = run_python("import os; print(sorted(os.environ))")

    assert run.output == "['HOME', 'LC_ALL', 'PYTHONHASHSEED', 'TMPDIR']\n"


def test_environment_of_other_processes_is_not_seen() -> None:
    run = run_python(f"print(open('/proc/{os.getpid()}/environ').read())")
    needs_kernel(run)

    assert "PermissionError" in run.error


def test_folder_is_empty_can_be_used_and_goes_away() -> None:
    run = run_python(
        "import os, tempfile\nprint(os.listdir())\nopen('a', 'w').write('x')\nos.mkdir('b')\nos.rename('a', 'b/a')\n"
        "print(open('b/a').read(), tempfile.mkdtemp().startswith(os.getcwd()))\nprint(os.getcwd())"
    )

    empty, used, folder = run.output.splitlines()
    assert (empty, used) == ("[]", "x True")
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    "program",
    [
        "open({there!r}, 'w')",
        "open({there!r}, 'a')",
        "import os; os.remove({there!r})",
        "import os; os.truncate({there!r}, 0)",
        "import os; os.rename({there!r}, 'mine')",
        "import os; os.chmod({there!r}, 0)",
        "import os; os.symlink({there!r}, 'link'); open('link', 'w')",
        "import shutil, os; shutil.rmtree(os.path.dirname({there!r}))",
    ],
)
def test_nothing_outside_is_changed(program: str, tmp_path: Path) -> None:
    there = tmp_path / "precious"
    there.write_text("gold")
    mode = there.stat().st_mode
    run = run_python(program.format(there=str(there)))

    assert "PermissionError" in run.error
    assert (there.read_text(), there.stat().st_mode) == ("gold", mode)


def test_files_outside_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("gold")
    run = run_python(f"print(open({str(tmp_path / 'secret')!r}).read())")
    needs_kernel(run)

    assert "PermissionError" in run.error


def test_our_own_package_is_not_read() -> None:
    run = run_python(f"print(open({__file__!r}).read())")
    needs_kernel(run)

    assert "PermissionError" in run.error


def test_folders_deeper_than_can_be_removed_do_not_cost_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = run_python("import ctypes\nc = ctypes.CDLL(None)\nfor _ in range(1100): c.mkdir(b'd', 0o700), c.chdir(b'd')")
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)

    assert run.passed


def test_a_file_has_a_limit() -> None:
    run = run_python("open('big', 'wb').write(bytes(1 << 20))", limits=Limits(file_bytes=1 << 16))

    assert "File too large" in run.error


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('127.0.0.1', {port}))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}')",
        "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', {port}))",
    ],
)
def test_network_is_barred(program: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        run = run_python(program.format(port=server.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            server.accept()

    assert "the sandbox does not allow" in run.error or "PermissionError" in run.error


def test_fork_bomb_has_no_child() -> None:
    before = set(psutil.pids())
    run = run_python("import os\nfor _ in range(100):\n    try: os.fork()\n    except OSError: pass\nprint('alone')")

    assert run.output == "alone\n"
    assert not [p for p in set(psutil.pids()) - before if _is_ours(p)]


def _is_ours(pid: int) -> bool:
    """A sandbox of this process, or one that nobody waits for any more; others may be run beside this test."""
    try:
        process = psutil.Process(pid)
        return "sandboxed.py" in " ".join(process.cmdline()) and process.ppid() in (1, os.getpid())
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    "program",
    [
        "import subprocess; subprocess.run(['/bin/true'])",
        "import os; os.system('true')",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import os; os.execv('/bin/true', ['true'])",
        "import multiprocessing; p = multiprocessing.get_context('fork').Process(target=int); p.start(); p.join()",
        "import os; os.kill(os.getppid(), 15)",
    ],
)
def test_no_program_is_started_and_nobody_signalled(program: str) -> None:
    assert "Error" in run_python(program).error


@pytest.mark.skipif(sys.platform != "linux", reason="calls of Linux")
@pytest.mark.parametrize("call", ["fork()", "socket(2, 1, 0)", "kill(os.getppid(), 9)", "setsid()", "vfork()"])
def test_kernel_refuses_where_python_is_gone_around(call: str) -> None:
    run = run_python(f"import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.{call})")
    needs_kernel(run)

    assert run.output == "-1\n"


def test_limits_cannot_be_raised_again() -> None:
    run = run_python(
        "import ctypes, struct\nlibc = ctypes.CDLL(None)\nprint(libc.setrlimit(9, struct.pack('QQ', 1 << 40, 1 << 40)))"
    )
    needs_kernel(run)

    assert run.output == "-1\n"


def test_crash_of_the_interpreter_is_told() -> None:
    assert run_python("import ctypes; ctypes.string_at(0)").why is Why.KILLED


def test_child_does_not_outlive_its_run() -> None:
    run = run_python("import os, time; print(os.getpid(), flush=True); time.sleep(60)", limits=HASTY)

    assert not psutil.pid_exists(int(run.output))


def test_sandbox_that_cannot_be_set_up_is_no_failure_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastchat.llm_judge.sandbox._CHILD", Path("/nowhere/sandboxed.py"))

    with pytest.raises(SetupError, match="could not be set up"):
        run_python("print(1)")


@pytest.mark.parametrize(
    "action",
    [
        "open(outside, 'w')",
        "os.remove(outside)",
        "os.rename('mine', outside)",
        "os.chmod('mine', 0)",
        "os.system('true')",
        "os.fork()",
        "subprocess.run(['true'])",
        "socket.create_connection(('127.0.0.1', 9))",
    ],
)
def test_hook_refuses_where_the_kernel_has_no_guards(action: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "precious").write_text("gold")
    program = f"""
import os, socket, subprocess, sys
from fastchat.llm_judge.sandboxed import hook
folder, outside = sys.argv[1:]
os.chdir(folder)
sys.addaudithook(hook(folder))
open("mine", "w").close()
open(outside).close()
try:
    {action}
except PermissionError as error:
    print(error)
"""
    given = [sys.executable, "-c", program, str(tmp_path.resolve() / "folder"), str(tmp_path.resolve() / "precious")]
    done = subprocess.run(given, capture_output=True, text=True, check=True)

    assert "the sandbox does not allow" in done.stdout
    assert (tmp_path / "precious").read_text() == "gold"
