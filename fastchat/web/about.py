"""The tab "About": what a battle is, how votes are kept, how to check a receipt, and how to have one's data deleted."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from fastchat.access.people import Visitor
from fastchat.arena.api import ErrorsInWords
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.records import Mode
from fastchat.arena.service import Arena
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged
from fastchat.web.terms import markdown
from fastchat.web.texts import Catalogue, Texts


def about_markdown(config: ArenaConfig, texts: Texts) -> str:
    """What holds in this arena, as Markdown."""
    has_votes = Mode.BATTLE in config.modes or Mode.SIDE_BY_SIDE in config.modes
    kept = texts("about_kept_days", days=config.retention_days) if config.retention_days else texts("about_kept")
    published = texts("about_published" if config.publishes else "about_not_published")
    sections = [
        ("about_battle_title", [texts("about_battle"), texts("about_battle_rules")]) if has_votes else None,
        ("about_votes_title", [texts("about_votes"), texts("about_receipt")]) if has_votes else None,
        ("about_stored_title", [kept, texts("about_address"), published]),
    ]
    return "\n\n".join(
        f"## {texts(title)}\n\n" + "\n\n".join(paragraphs) for title, paragraphs in filter(None, sections)
    )


def about_html(config: ArenaConfig, texts: Texts, *, arena: str = DEFAULT, root: str = "") -> str:
    """The same for the page, with the buttons for one's own data."""
    terms = f"{escaped(root)}terms?arena={escaped(arena)}"
    return (
        f'<section class="fc-about" lang="{texts.language}">{markdown(about_markdown(config, texts))}'
        f"<h2>{texts.html('my_data')}</h2><p>{texts.html('my_data_text')}</p>"
        f'<div class="fc-about-data"><a class="fc-about-button" href="{escaped(root)}api/arena/me" '
        f'download="my-data.json">{texts.html("my_data_download")}</a>'
        f'<button type="button" class="fc-about-button fc-about-delete">{texts.html("my_data_delete")}</button></div>'
        f'<p class="fc-about-told" role="status" data-done="{texts.html("my_data_deleted")}" '
        f'data-failed="{texts.html("my_data_failed")}"></p>'
        f'<dialog class="fc-consent" aria-labelledby="fc-delete-title"><h2 id="fc-delete-title">'
        f"{texts.html('my_data_delete')}</h2><p>{texts.html('my_data_sure')}</p>"
        f'<form method="dialog" class="fc-about-data"><button class="fc-about-button" value="">{texts.html("cancel")}'
        f'</button><button class="fc-about-button" value="delete">{texts.html("delete")}</button></form></dialog>'
        f'<p><a href="{terms}" target="_blank" rel="noopener">{texts.html("terms")}</a></p></section>'
    )


def about_router(arena: Arena, identify: Callable[[Request], Visitor], catalogue: Catalogue) -> APIRouter:
    router = APIRouter(route_class=ErrorsInWords, include_in_schema=False)

    @router.get("/about")
    async def show(
        request: Request,
        name: Annotated[str, Query(alias="arena")] = DEFAULT,
        root: Annotated[str, Query(pattern=r"^(\.\./){0,3}$")] = "",
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        config = arena.config(identify(request), name)
        texts = catalogue.best(accept_language, fixed=config.language)
        return HTMLResponse(about_html(config, texts, arena=name, root=root))

    return router


class AboutView:
    """The tab: an empty place, which its script fills in the reader's language when it comes into sight."""

    slug = "about"

    def __init__(self, arena: str, texts: Texts, *, root: str = "") -> None:
        from gradio.i18n import I18nData

        self.title = I18nData("about")
        self._arena = arena
        self._texts = texts
        self._root = root

    def build(self, page: Any, frame: Any) -> None:  # Any: Gradio is untyped
        """Called inside of its tab."""
        import gradio as gr

        failed = self._texts.html("about_failed")
        place = (
            f'<div class="fc-about-place" data-arena="{escaped(self._arena)}" data-root="{escaped(self._root)}" '
            f'data-failed="{failed}"></div>'
        )
        gr.HTML(place, elem_id="fc-about", js_on_load=packaged("about.js"), apply_default_css=False)
