"""An arena's logo: a picture and nothing else. It is read once, when the server starts."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from fastchat.arena.config import Look
from fastchat.core.errors import SetupError

LOGO_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Logo:
    content: bytes
    media_type: str


_SCRIPTED = re.compile(r"^on|^(?:script|foreignobject|iframe|embed|object|handler|listener)$", re.IGNORECASE)


def read_logo(look: Look) -> Logo | None:
    """
    Raises:
        SetupError: it cannot be read, is too large, no picture that pages show, or does more than show one.
    """
    file = look.logo
    if file is None:
        return None
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SetupError(f"The logo {file} cannot be read: {error.strerror or error}.") from None
    if len(content) > LOGO_BYTES:
        raise SetupError(f"The logo {file} has {len(content) >> 10} KiB; it may have {LOGO_BYTES >> 10}.")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Logo(content, "image/png")
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Logo(content, "image/webp")
    if problem := _svg_problem(content):
        raise SetupError(f"The logo {file} cannot be used: {problem} It may be an SVG, PNG or WebP file.")
    return Logo(content, "image/svg+xml")


def _svg_problem(content: bytes) -> str | None:
    if re.search(rb"<!(?:DOCTYPE|ENTITY)|<\?xml-stylesheet", content, re.IGNORECASE):
        return "it declares a document type or a style sheet; save it as plain SVG."
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError):
        return "it is no picture that browsers show."
    if root.tag != "{http://www.w3.org/2000/svg}svg":
        return "it is XML, but no SVG."
    for element in root.iter():
        names = [_local(str(element.tag)), *map(_local, element.attrib)]
        if any(_SCRIPTED.search(name) for name in names):
            return "it holds a script or another document."
        for name, value in element.attrib.items():
            is_inside = value.strip().startswith(("#", "data:image/png", "data:image/jpeg", "data:image/webp"))
            if _local(name) in ("href", "src") and not is_inside:
                return f"it points to {value[:80]!r}, which pages do not load."
    return None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
