"""The words of a PDF, read by a process of its own, which is killed when it takes too long.

A file of 40 kB can keep its reader busy for hours, and a thread cannot be ended. What comes back is JSON: the words, or
what was wrong.
"""

import asyncio
import contextlib
import io
import json
import sys
from importlib.util import find_spec

from fastchat.core.errors import InvalidRequest, MissingPackage, RequestTooLarge

_MEMORY = 2**30  # bytes
_CPU_S = 120  # for when whoever waits for the words is killed meanwhile


async def words_of_pdf(content: bytes, *, pages: int, chars: int) -> str:
    """Cancelled, it leaves nothing running.

    Raises:
        RequestTooLarge: too many pages or letters.
        InvalidRequest: it is broken, or protected.
    """
    if find_spec("pypdf") is None:
        raise MissingPackage("pypdf", "arena", "Reading PDFs")
    command = (sys.executable, "-P", "-m", "fastchat.arena.pdf_words", str(pages), str(chars))
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing)
    try:
        said, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(said) if process.returncode == 0 else {"broken": "it took too much memory"}
    if "too_large" in found:
        raise RequestTooLarge(found["too_large"])
    if "protected" in found:
        raise InvalidRequest("This PDF is protected by a password. Send one without.", param="file")
    if "broken" in found:
        raise InvalidRequest(f"This PDF cannot be read ({found['broken']}). Print it into a new one.", param="file")
    return str(found["words"])


def _read(content: bytes, most_pages: int, most_chars: int) -> dict[str, str]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"protected": ""}
        if len(reader.pages) > most_pages:
            found = f"This PDF has {len(reader.pages)} pages"
            return {"too_large": f"{found}; at most {most_pages} are read. Send a part of it."}
        words: list[str] = []
        room = most_chars
        for page in reader.pages:
            words.append(page.extract_text().strip())
            room -= len(words[-1])
            if room < 0:
                return {"too_large": f"This PDF has more than {most_chars:,} letters. Send a part of it."}
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        # pypdf reports broken files by whatever it stumbles over.
        return {"broken": type(error).__name__}
    return {"words": "\n\n".join(page for page in words if page)}


def _limit_resources() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    _limit_resources()
    json.dump(_read(sys.stdin.buffer.read(), int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
