import re
from pathlib import Path

import pytest

from fastchat.arena.config import ArenaConfig, Look
from fastchat.core.errors import SetupError
from fastchat.web import look as looks
from fastchat.web.logos import LOGO_BYTES, read_logo
from fastchat.web.look import (
    brand_html,
    check_looks,
    contrast,
    frame_ancestors,
    look_head,
    place_of,
    shades_of,
    style_of,
)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z" fill="#123"/></svg>'


def logo(folder: Path, content: str | bytes) -> Look:
    file = folder / "logo"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return Look(logo=file)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
    ],
)
def test_contrast_is_wcags(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


def test_grounds_are_the_themes() -> None:
    from fastchat.web import theme

    assert (looks._PAPER, looks._SURFACE, looks._INK) == (theme.PAPER, theme.SURFACE, theme.INK)


def test_every_variable_of_the_accent_is_replaced() -> None:
    from fastchat.web import theme

    style = style_of(Look(accent="#7c2d12"))
    accents = {theme.ACCENT, theme.ACCENT_STRONG, theme.ACCENT_SOFT, theme.ON_ACCENT}
    for name, pair in theme._COLOURS.items():
        assert (f"--{name.replace('_', '-')}:" in style) == (pair in accents), name


@pytest.mark.parametrize("accent", ["#7c2d12", "#0f766e", "#1d4ed8", "#000000", "#6d28d9", "#b91c1c", "#3f6212"])
def test_text_can_be_read_in_every_shade(accent: str) -> None:
    shades = shades_of(Look(accent=accent))
    assert shades is not None
    for shade, paper, surface, ink in zip(shades, looks._PAPER, looks._SURFACE, looks._INK, strict=True):
        for text, ground in [
            (shade.accent, paper),
            (shade.accent, surface),
            (shade.on, shade.accent),
            (shade.on, shade.strong),
            (ink, shade.soft),
        ]:
            assert contrast(text, ground) >= 4.5, (text, ground)


@pytest.mark.parametrize(
    ("look", "complaint"),
    [
        (Look(accent="#facc15"), r"look\.accent #facc15 cannot be read on light ground: its contrast is 1\.5:1"),
        (Look(accent="#7c2d12", accent_dark="#7c2d12"), r"look\.accent_dark #7c2d12 cannot be read on dark ground"),
        (Look(accent_dark="#ffffff"), "without look.accent"),
    ],
)
def test_a_colour_that_cannot_be_read_is_refused(look: Look, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        shades_of(look)


def test_the_colour_that_is_proposed_would_be_taken() -> None:
    with pytest.raises(SetupError) as refused:
        shades_of(Look(accent="#facc15"))
    proposed = re.findall(r"#[0-9a-f]{6}", refused.value.message)[-1]
    assert shades_of(Look(accent=proposed)) is not None


def test_without_a_colour_nothing_changes() -> None:
    assert style_of(Look(name="Legal")) == ""
    assert "--link-text-color" not in look_head("default", ArenaConfig())
    assert "--link-text-color:#7c2d12" in look_head("legal", ArenaConfig(look=Look(accent="#7c2d12")))


def test_logos_that_are_pictures(tmp_path: Path) -> None:
    found = [
        read_logo(logo(tmp_path, content))
        for content in (SVG, b"\x89PNG\r\n\x1a\n....", b"RIFF....WEBPVP8 ", '<?xml version="1.0"?>\n' + SVG)
    ]
    assert [one.media_type for one in found if one] == ["image/svg+xml", "image/png", "image/webp", "image/svg+xml"]
    assert read_logo(Look()) is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (SVG.replace("<path", "<script>alert(1)</script><path"), "script or another document"),
        (SVG.replace("<path", "<path onclick='x()'"), "script or another document"),
        (SVG.replace("<path", "<foreignObject/><path"), "script or another document"),
        (SVG.replace("<path", "<image href='https://x.example/a.png'/><path"), "points to 'https://x.example/a.png'"),
        (SVG.replace("<path", "<a href='javascript:x'/><path"), "points to 'javascript:x'"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "declares a document type"),
        ('<?xml-stylesheet href="x.css"?>' + SVG, "declares a document type or a style sheet"),
        ("<html/>", "no SVG"),
        (b"GIF89a", "no picture that browsers show"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * LOGO_BYTES, "may have 256"),
    ],
)
def test_logos_that_do_more_than_show_are_refused(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        read_logo(logo(tmp_path, content))


def test_what_is_wrong_names_the_arena(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"Arena 'legal': The logo .*nowhere\.svg cannot be read"):
        check_looks({"legal": ArenaConfig(look=Look(logo=tmp_path / "nowhere.svg"))})


@pytest.mark.parametrize(
    "origin",
    ["https://x.example; script-src *", "example.com", "https://x.example/", "https://*", "'none'", "https://a b"],
)
def test_what_is_no_origin_does_not_reach_the_policy(origin: str) -> None:
    with pytest.raises(SetupError, match="is no origin"):
        check_looks({"default": ArenaConfig(embed_origins=(origin,))})


@pytest.mark.parametrize("origin", ["https://intra.example.com", "http://localhost:8080", "https://*.example.com"])
def test_origins_may_frame_their_arena_and_no_other(origin: str) -> None:
    arenas = {"default": ArenaConfig(), "legal": ArenaConfig(embed_origins=(origin,))}
    check_looks(arenas)
    assert frame_ancestors("/a/legal/", arenas) == f"frame-ancestors 'self' {origin}"
    assert frame_ancestors("/a/legal", arenas) == f"frame-ancestors 'self' {origin}"
    for path in ("/", "/a/other/", "/admin", "/login", "/a/"):
        assert frame_ancestors(path, arenas) == "frame-ancestors 'self'"


def test_whose_page_a_path_is() -> None:
    assert place_of("/a/legal/gradio_api/queue/join") == ("legal", "/gradio_api/queue/join")
    assert place_of("/a/legal") == ("legal", "/")
    assert place_of("/") == ("default", "/")
    assert place_of("/about") == (None, "/about")


def test_the_corner_shows_the_arena() -> None:
    config = ArenaConfig(look=Look(name="Legal <b>", logo=Path("l.svg")))
    brand = brand_html("legal", config, "ours")
    assert 'src="look/legal/logo"' in brand
    assert "Legal &lt;b&gt;" in brand
    assert brand_html("default", ArenaConfig(), "ours") == "ours"
