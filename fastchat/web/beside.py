"""What stands beside the conversation, put together: leaderboard, about, consent, admin, an arena's look."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import APIRouter

from fastchat.access.visitors import Visitors
from fastchat.arena.config import DEFAULT
from fastchat.arena.oversight import Oversight
from fastchat.arena.oversight_api import create_oversight_api
from fastchat.arena.service import Arena
from fastchat.web.about import AboutView, about_router
from fastchat.web.admin import admin_router
from fastchat.web.consent import consent_head, consent_router
from fastchat.web.leaderboard import Leaderboard, LeaderboardView, leaderboard_router
from fastchat.web.look import check_looks, look_head, look_router
from fastchat.web.texts import Catalogue


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all of it is built upon."""

    arena: Arena
    visitors: Visitors
    oversight: Oversight
    board: Leaderboard
    catalogue: Catalogue
    product: str = "FastChat"
    root: str = ""  # the path a proxy shows us under
    style: str = ""  # our colours as custom properties, for pages without Gradio
    shows_terms_always: bool = False


def routers(of: Surroundings) -> Sequence[APIRouter]:
    """
    Raises:
        SetupError: an arena's colour, logo, origins or terms cannot be used.
    """
    arena, identify, configs = of.arena, of.visitors.of, of.arena.configs
    check_looks(configs)

    def language(name: str) -> str | None:
        return configs[name].language if name in configs else None

    return (
        leaderboard_router(of.board, identify, of.catalogue, language),
        about_router(arena, identify, of.catalogue),
        consent_router(arena, identify, of.catalogue, is_forced=of.shows_terms_always, style=of.style),
        look_router(arena, identify),
        create_oversight_api(of.oversight, identify),
        admin_router(
            identify,
            product=of.product,
            has_logins=of.visitors.directory.asks_for_login,
            root=of.root,
            style=of.style,
        ),
    )


class Beside(NamedTuple):
    """For the page of one arena."""

    views: Sequence[Any]  # tabs behind the conversations; none where there is only a chat
    head: str  # for the document's head, behind the theme's
    texts: Any  # `i18n` of `mount_gradio_app`


def beside(of: Surroundings, *, name: str = DEFAULT, is_arena: bool = True) -> Beside:
    """Who only chats is asked for consent where the operator wants everybody to be."""
    config = of.arena.configs[name]
    texts = of.catalogue.best(fixed=config.language)
    root = "" if name == DEFAULT else "../../"  # from `/a/<name>/`
    board = () if of.board.is_empty else (LeaderboardView(name, texts, root=root),)
    views = [*board, AboutView(name, texts, root=root)] if is_arena else []
    asks = consent_head(arena=name, root=root) if is_arena or of.shows_terms_always else ""
    return Beside(views, look_head(name, config) + asks, of.catalogue.gradio_texts(fixed=config.language))
