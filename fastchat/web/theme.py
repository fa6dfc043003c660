"""How the page looks: colours and fonts for Gradio's components here, arrangement in the style sheets of `assets/`."""

from importlib.resources import files
from typing import Any

import gradio as gr

from fastchat.web.markup import escaped

ASSETS = files("fastchat.web") / "assets"
STYLE_SHEETS = ("page.css", "side.css", "panes.css", "log.css", "composer.css", "leaderboard.css")

SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
SYSTEM_MONO = ["ui-monospace", "SF Mono", "Cascadia Code", "Menlo", "DejaVu Sans Mono", "monospace"]

# (light, dark). One accent; everything else is a warm grey. Text on its ground reaches 4.5:1 in both.
PAPER = ("#fbfaf8", "#151413")
SURFACE = ("#ffffff", "#1f1d1b")
SUNKEN = ("#f3f1ee", "#2a2725")
LINE = ("#e4e0db", "#3a3633")
INK = ("#1d1a18", "#ece8e4")
INK_SOFT = ("#5f5852", "#a9a19a")
ACCENT = ("#0f766e", "#3fd0bd")
ACCENT_STRONG = ("#115e59", "#6ee0d1")
ACCENT_SOFT = ("#e3f1ee", "#163a36")
ON_ACCENT = ("#ffffff", "#06211e")

_COLOURS = {
    "body_background_fill": PAPER,
    "body_text_color": INK,
    "body_text_color_subdued": INK_SOFT,
    "background_fill_primary": SURFACE,
    "background_fill_secondary": SUNKEN,
    "border_color_primary": LINE,
    "border_color_accent": ACCENT,
    "color_accent_soft": ACCENT_SOFT,
    "link_text_color": ACCENT,
    "link_text_color_hover": ACCENT_STRONG,
    "link_text_color_active": ACCENT_STRONG,
    "link_text_color_visited": ACCENT,
    "code_background_fill": SUNKEN,
    "block_background_fill": SURFACE,
    "block_border_color": LINE,
    "block_label_text_color": INK_SOFT,
    "block_title_text_color": INK,
    "block_info_text_color": INK_SOFT,
    "input_background_fill": SURFACE,
    "input_background_fill_focus": SURFACE,
    "input_border_color": LINE,
    "input_border_color_focus": ACCENT,
    "input_placeholder_color": INK_SOFT,
    "slider_color": ACCENT,
    "button_primary_background_fill": ACCENT,
    "button_primary_background_fill_hover": ACCENT_STRONG,
    "button_primary_text_color": ON_ACCENT,
    "button_secondary_background_fill": SURFACE,
    "button_secondary_background_fill_hover": SUNKEN,
    "button_secondary_border_color": LINE,
    "button_secondary_text_color": INK,
}


def asset(name: str) -> str:
    return (ASSETS / name).read_text("utf-8")


def colours() -> str:
    """The same as variables, for pages without Gradio."""
    named = {
        "paper": PAPER, "surface": SURFACE, "sunken": SUNKEN, "line": LINE, "ink": INK, "ink-soft": INK_SOFT,
        "accent": ACCENT, "accent-soft": ACCENT_SOFT,
    }  # fmt: skip
    light = "".join(f"--{name}:{colour};" for name, (colour, _) in named.items())
    dark = "".join(f"--{name}:{colour};" for name, (_, colour) in named.items())
    return f":root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"


def brand(title: str) -> str:
    """Our sign with a name beside it."""
    return asset("mark.html").replace("FastChat", escaped(title))


def theme() -> Any:
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.stone,
        neutral_hue=gr.themes.colors.stone,
        font=SYSTEM_FONTS,
        font_mono=SYSTEM_MONO,
    )
    light = {name: colour for name, (colour, _) in _COLOURS.items()}
    dark = {f"{name}_dark": colour for name, (_, colour) in _COLOURS.items()}
    base.set(**light, **dark, color_accent=ACCENT[0])
    # With the theme rather than with `css` or `head`: it is there before anything is drawn, and on the login too.
    base.custom_css = "".join(map(asset, STYLE_SHEETS))
    return base


def head() -> str:
    """For the document's head."""
    return f"{asset('head.html')}<script>{asset('page.js')}</script>"
