"""How an arena differs from ours: its name, its logo, its colour, and who may show it in a frame.

One colour for light ground and one for dark are all that can be chosen; what is derived from them keeps the contrast of
4.5:1 that text needs, and a colour that cannot is refused when the server starts.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from unicodedata import east_asian_width
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

from fastchat.access.people import Visitor
from fastchat.arena.api import ErrorsInWords
from fastchat.arena.config import DEFAULT, ArenaConfig, Look
from fastchat.arena.service import Arena
from fastchat.core.errors import NotFound, SetupError
from fastchat.web.logos import read_logo
from fastchat.web.markup import escaped

CONTRAST = 4.5  # WCAG's for text

# As in `theme`; a test compares them. This module needs no Gradio.
_PAPER = ("#fbfaf8", "#151413")
_SURFACE = ("#ffffff", "#1f1d1b")
_INK = ("#1d1a18", "#ece8e4")
_DARK_TEXT = "#06211e"

# Gradio's variables that carry the accent.
_ACCENT = (
    "border-color-accent", "link-text-color", "link-text-color-visited", "input-border-color-focus", "slider-color",
    "button-primary-background-fill", "color-accent", "accent",
)  # fmt: skip
_STRONG = ("link-text-color-hover", "link-text-color-active", "button-primary-background-fill-hover")
_SOFT = ("color-accent-soft", "accent-soft")
_ON = ("button-primary-text-color",)


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio, from 1 to 21, of two colours like `#0f766e`."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in _rgb(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _mixed(one: str, other: str, share: float) -> str:
    """`share` of the other one."""
    parts = (round(a + (b - a) * share) for a, b in zip(_rgb(one), _rgb(other), strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)


class Shades(NamedTuple):
    """What is made of one accent on one ground."""

    accent: str
    strong: str  # under the pointer
    soft: str  # behind text
    on: str  # text on the accent


def shades_of(look: Look) -> tuple[Shades, Shades] | None:
    """For light ground and for dark; None where the arena has our own colour.

    Raises:
        SetupError: text in this colour could not be read.
    """
    if look.accent is None and look.accent_dark is None:
        return None
    if look.accent is None:
        raise SetupError("look.accent_dark is given without look.accent. Give the accent for light ground as well.")
    _check(look.accent, "look.accent", 0)
    dark = look.accent_dark or _lightened(look.accent)
    _check(dark, "look.accent_dark", 1)
    return _shades(look.accent, 0), _shades(dark, 1)


def _check(colour: str, field: str, ground: int) -> None:
    worst = min(contrast(colour, _PAPER[ground]), contrast(colour, _SURFACE[ground]))
    if worst < CONTRAST:
        where, remedy = ("light", "darker") if ground == 0 else ("dark", "lighter")
        raise SetupError(
            f"{field} {colour} cannot be read on {where} ground: its contrast is {worst:.1f}:1, and text needs "
            f"{CONTRAST}:1. Take a {remedy} colour, for example {_readable(colour, ground)}."
        )


def _readable(colour: str, ground: int) -> str:
    """The nearest to it, towards black or white, that can be read."""
    end = "#000000" if ground == 0 else "#ffffff"
    shares = (step / 50 for step in range(51))
    return next(
        mixed
        for share in shares
        if min(contrast(mixed := _mixed(colour, end, share), _PAPER[ground]), contrast(mixed, _SURFACE[ground]))
        >= CONTRAST
    )


def _lightened(accent: str) -> str:
    """The same hue for dark ground, a little clearer than it must be."""
    return _mixed(_readable(accent, 1), "#ffffff", 0.15)


def _shades(accent: str, ground: int) -> Shades:
    dark_text = _DARK_TEXT if contrast(accent, _DARK_TEXT) >= CONTRAST else "#000000"
    on = max("#ffffff", dark_text, key=lambda colour: contrast(accent, colour))
    strong = _mixed(accent, _INK[ground], 0.3)
    soft = _mixed(_SURFACE[ground], accent, 0.12 if ground == 0 else 0.2)
    return Shades(accent, strong if contrast(strong, on) >= CONTRAST else accent, soft, on)


def style_of(look: Look) -> str:
    """A style sheet that puts the arena's colour in place of ours; empty where it has none of its own."""
    shades = shades_of(look)
    if shades is None:
        return ""
    light, dark = shades
    # Gradio writes its variables under `:root` and `.dark`; said twice, ours win wherever they stand.
    plain = f"@media(prefers-color-scheme:dark){{:root:root:not(:has(.gradio-container)){{{_properties(dark)}}}}}"
    return f":root:root{{{_properties(light)}}}{plain}:root:root.dark,:root .dark.dark{{{_properties(dark)}}}"


def _properties(shades: Shades) -> str:
    named = ((_ACCENT, shades.accent), (_STRONG, shades.strong), (_SOFT, shades.soft), (_ON, shades.on))
    return "".join(f"--{name}:{colour};" for names, colour in named for name in names)


def check_looks(arenas: Mapping[str, ArenaConfig]) -> None:
    """Before anything is served.

    Raises:
        SetupError: an arena's colour, logo or list of origins cannot be used; says which arena's.
    """
    for name, config in arenas.items():
        try:
            shades_of(config.look)
            read_logo(config.look)
            for origin in config.embed_origins:
                _check_origin(origin)
        except SetupError as error:
            raise SetupError(f"Arena {name!r}: {error.message}") from None


def _check_origin(origin: str) -> None:
    # It goes into a header, where a semicolon would begin another rule.
    try:
        parts = urlsplit(origin)
        is_origin = (
            parts.scheme in ("http", "https")
            and re.fullmatch(
                r"(\*\.)?[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]", parts.netloc.rpartition(":")[0] or parts.netloc
            )
            and f"{parts.scheme}://{parts.netloc}" == origin
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        is_origin = False
    if not is_origin:
        raise SetupError(
            f"{origin!r} in embed_origins is no origin. Give scheme, host and maybe port: https://intranet.example.com"
        )


ENTRY = "/a/"  # `/a/<name>/` is the page of an arena


class Place(NamedTuple):
    """A path: of which arena's page it is a part (None: of none), and what it is within that page."""

    arena: str | None
    path: str


def place_of(path: str) -> Place:
    if not path.startswith(ENTRY):
        return Place(DEFAULT if path == "/" else None, path)
    name, _, rest = path.removeprefix(ENTRY).partition("/")
    return Place(name, f"/{rest}")


def title_of(name: str, config: ArenaConfig) -> str:
    """What its page is called; ours has our name, if it was given no other."""
    return config.look.name or ("FastChat" if name == DEFAULT else config.title)


NO_FRAMES = "frame-ancestors 'self'"


def frame_ancestors(path: str, arenas: Mapping[str, ArenaConfig]) -> str:
    """The rule of the security policy that says who may frame what stands at this path."""
    config = arenas.get(place_of(path).arena or "")
    return " ".join((NO_FRAMES, *(config.embed_origins if config else ())))


def brand_html(name: str, config: ArenaConfig, ours: str) -> str:
    """What stands in the corner: the arena's logo and name, or ours."""
    if config.look.logo is None:
        return ours
    logo = f'<img src="look/{escaped(name)}/logo" alt="" height="28">'
    return f'<h1 class="fc-brand">{logo}<span>{escaped(title_of(name, config))}</span></h1>'


# In a frame the page around ours has a name and a frame of its own: `?embed=1` leaves ours away.
_EMBED = (
    "<style>.fc-embed :is(#fc-side,#fc-side-toggle){display:none}"
    ".fc-embed #fc-brand{position:absolute;clip-path:inset(50%)}"
    ".fc-embed #fc-tabs>.tab-wrapper{inset-inline-start:var(--fc-gap)}</style><script>"
    "document.documentElement.classList.toggle('fc-embed',"
    "new URLSearchParams(location.search).get('embed')==='1')</script>"
)


def look_head(name: str, config: ArenaConfig) -> str:
    """For the document's head, behind the theme's."""
    width = min(0.63 * _width(title_of(name, config)), 16)
    return f"<style>:root{{--fc-name:{width:.2f}rem}}{style_of(config.look)}</style>{_EMBED}"


def _width(text: str) -> int:
    """In letters; those of some scripts are twice as wide."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def look_router(arena: Arena, identify: Callable[[Request], Visitor]) -> APIRouter:
    """The logos, to whom the arena is open.

    Raises:
        SetupError: one cannot be used.
    """
    logos = {name: read_logo(config.look) for name, config in arena.configs.items()}
    router = APIRouter(route_class=ErrorsInWords, include_in_schema=False)

    @router.get("/look/{name}/logo")
    async def logo(request: Request, name: str) -> Response:
        arena.config(identify(request), name)
        found = logos[name]
        if found is None:
            raise NotFound("This arena has no logo.")
        headers = {
            # As a picture on a page it runs nothing; by itself it is saved rather than opened.
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "content-disposition": "attachment",
            "cache-control": "private, max-age=3600",
        }
        return Response(found.content, media_type=found.media_type, headers=headers)

    return router
