"""The child of `sandbox.py`: binds itself, then runs the program. Imports nothing of ours, and is run by its path.

The order matters: limits that need rights come first, then Landlock, then seccomp, which takes away the calls that
the others were made with.
"""

import ctypes
import json
import os
import platform
import resource
import struct
import sys
from collections.abc import Callable
from typing import Any

_NO_NEW_PRIVILEGES = 38
_SET_SECCOMP = 22

# Calls that are refused, by architecture. What needs a capability is not named: the child gives up all of them.
_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_CLONE = {_X86_64: 56, _AARCH64: 220}
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_X32 = 0x40000000  # x86-64 knows every call by a second number
_REFUSED = {
    _X86_64: (
        *(41, 57, 58, 59, 322),  # socket, fork, vfork, execve, execveat
        *(62, 200, 234, 129, 297, 424, 434, 438),  # kill, tkill, tgkill, rt_(tg)sigqueueinfo, pidfd_*
        *(101, 310, 311, 440),  # ptrace, process_vm_readv, process_vm_writev, process_madvise
        *(272, 308, 425, 426, 427, 321, 298, 323),  # unshare, setns, io_uring_*, bpf, perf_event_open, userfaultfd
        *(160, 302, 141, 144, 203, 314),  # setrlimit, prlimit64, setpriority, sched_set*
        *(90, 91, 268, 452, 92, 93, 94, 260),  # chmod and chown
        *(132, 235, 261, 280, 188, 189, 190, 197, 198, 199),  # utime*, setxattr*, removexattr*
        *(29, 64, 68, 240, 248, 249, 250, 112, 109),  # shmget, semget, msgget, mq_open, keys, setsid, setpgid
    ),
    _AARCH64: (
        *(198, 221, 281),
        *(129, 130, 131, 138, 240, 424, 434, 438),
        *(117, 270, 271, 440),
        *(97, 268, 425, 426, 427, 280, 241, 282),
        *(164, 261, 140, 119, 122, 274),
        *(52, 53, 452, 54, 55),
        *(88, 5, 6, 7, 14, 15, 16),
        *(194, 190, 186, 180, 217, 218, 219, 157, 154),
    ),
}

_READ_FILE, _READ_DIR, _WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
_RIGHTS_BY_VERSION = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
_NOT_IN_THE_FOLDER = 1 << 0 | 1 << 6 | 1 << 9 | 1 << 11  # executing, devices, sockets
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = {"/dev/null": _READ_FILE | _WRITE_FILE, "/dev/urandom": _READ_FILE}

_BARRED = (
    *("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "pty.spawn"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto"),
    *("os.chmod", "os.chown", "signal.pthread_kill", "resource.setrlimit", "resource.prlimit"),
)
_PATHS_OF = {  # how many of an event's arguments are paths that it changes
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.utime", "shutil.rmtree"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
}


def limit(job: dict[str, Any]) -> None:
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, job["cpu_s"], job["cpu_s"] + 1),  # a signal ends it, and one that none can ignore
        (resource.RLIMIT_AS, job["memory_bytes"], job["memory_bytes"]),
        (resource.RLIMIT_FSIZE, job["file_bytes"], job["file_bytes"]),
        (resource.RLIMIT_NOFILE, job["open_files"], job["open_files"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (OSError, ValueError):
            if sys.platform == "linux":  # macOS refuses to limit addresses
                raise


def guard(folder: str) -> list[str]:
    """What the kernel will enforce; without seccomp, not one more process or thread."""
    guards = []
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
            _drop_capabilities(libc)
            if _landlock(libc, folder):
                guards.append("landlock")
            if _seccomp(libc):
                guards.append("seccomp")
    if "seccomp" not in guards:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return guards


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    libc.capset(header, none)


def _landlock(libc: ctypes.CDLL, folder: str) -> bool:
    version = libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    rights = _RIGHTS_BY_VERSION[min(version, 5)]
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(444, struct.pack("QQQ", rights, network, scopes), size, 0)
    if rules < 0:
        return False
    for path, allowed in _allowed(folder, rights & ~_NOT_IN_THE_FOLDER).items():
        _allow(libc, rules, path, allowed)
    done = libc.syscall(446, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _allowed(folder: str, in_folder: int) -> dict[str, int]:
    """Python's library without what is installed into it, where our own tests may stand."""
    read = _READ_FILE | _READ_DIR
    allowed = {folder: in_folder, **dict.fromkeys(_LIBRARIES, read), **_DEVICES}
    for place in filter(os.path.isdir, map(os.path.realpath, sys.path)):
        allowed[place] = allowed.get(place, 0) | _READ_DIR  # or nothing in it is found
        for entry in os.scandir(place):
            if entry.name not in ("site-packages", "dist-packages"):
                allowed[entry.path] = read
    for place in filter(os.path.isdir, (os.path.join(sys.base_prefix, "lib"), "/usr/local/lib")):
        allowed.update({entry.path: _READ_FILE for entry in os.scandir(place) if ".so" in entry.name})
    return allowed


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not every system has every one of them
        return
    if not os.path.isdir(path):
        rights &= ~_READ_DIR
    libc.syscall(445, rules, 1, struct.pack("=Qi", rights, opened), 0)
    os.close(opened)


def _seccomp(libc: ctypes.CDLL) -> bool:
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None or sys.maxsize < 2**32:
        return False
    steps = _filter(architecture)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    return bool(libc.prctl(_SET_SECCOMP, 2, program, 0, 0) == 0)


def _filter(architecture: int) -> list[tuple[int, int, int, int]]:
    """Classic BPF: (operation, steps to jump if so, if not, operand). Whatever is not refused is allowed."""
    load, equal, greater, has_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, unknown, kill = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000  # EPERM, ENOSYS
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (give, 0, 0, kill),
        (load, 0, 0, 0),
        (greater, 0, 1, _X32),
        (give, 0, 0, refuse),
        (equal, 0, 1, _CLONE3),  # its flags cannot be seen; C libraries go back to clone
        (give, 0, 0, unknown),
    ]
    for number in _REFUSED[architecture]:
        steps += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    steps += [
        (equal, 0, 3, _CLONE[architecture]),
        (load, 0, 0, 16),
        (has_bits, 1, 0, _CLONE_THREAD),
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    return steps


def hook(folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    """Says in Python what the kernel would say too, and, where that says nothing, instead of it."""

    def is_ours(path: object) -> bool:
        if isinstance(path, int) or path == "/dev/null":
            return True
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]  # a path, as the event comes from one
        return real == folder or real.startswith(folder + os.sep)

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_BARRED):
            raise PermissionError(f"the sandbox does not allow {event}")
        paths = arguments[: _PATHS_OF.get(event, 0)]
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            paths = arguments[:1]
        for path in paths:
            if not is_ours(path):
                raise PermissionError(f"the sandbox does not allow {event} outside its own folder")

    return check


def main(job_file: int, report: int) -> None:
    with os.fdopen(job_file, encoding="utf-8") as opened:
        job = json.load(opened)
    limit(job)
    os.write(report, (" ".join(guard(job["folder"])) + "\n").encode())  # `report` stays open: its end is our end
    sys.addaudithook(hook(job["folder"]))
    sys.argv = ["answer"]
    try:
        exec(compile(job["program"], "<program>", "exec"), {"__name__": "__main__"})
    except SystemExit:
        raise
    except BaseException as error:
        trace = error.__traceback__
        error.with_traceback(trace and trace.tb_next)  # without this frame
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
