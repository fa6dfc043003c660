"""Files that come with the page."""

from importlib.resources import files


def packaged(name: str) -> str:
    return (files("fastchat.web") / "assets" / name).read_text("utf-8")
