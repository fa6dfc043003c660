"""Terms and consent: what is asked of somebody who comes for the first time, or after the terms have changed.

A dialog of our own, fetched by its script when the page has opened; nobody is asked twice for the same version. Where
the operator wants it (`--show-terms-of-use`) the terms are shown at every visit.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from fastchat.access.people import Visitor
from fastchat.arena.api import ErrorsInWords
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.service import Arena
from fastchat.web.look import style_of, title_of
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged
from fastchat.web.terms import Terms, read_terms
from fastchat.web.texts import Catalogue, Texts

_NEVER_KEPT = {"cache-control": "no-store"}


def consent_html(config: ArenaConfig, terms: Terms, texts: Texts, *, arena: str = DEFAULT) -> str:
    """The dialog, closed. Its script opens it, sends what was agreed to and takes it away."""
    publish = (
        f'<label class="fc-consent-publish"><input type="checkbox" name="may_publish"> '
        f"<span>{texts.html('consent_publish')}</span></label>"
        if config.publishes
        else ""
    )
    return (
        f'<dialog class="fc-consent" closedby="none" aria-labelledby="fc-consent-title" lang="{texts.language}" '
        f'data-arena="{escaped(arena)}" data-version="{escaped(terms.version)}" '
        f'data-failed="{texts.html("consent_failed")}">'
        f'<h2 id="fc-consent-title">{texts.html("consent_title")}</h2>'
        f"<p>{texts.html('consent_intro')}</p>"
        f'<div class="fc-consent-terms" role="region" tabindex="0" aria-label="{texts.html("terms")}"'
        f"{_lang(terms)}>"
        f"{terms.html}</div>"
        f'{publish}<p class="fc-consent-error" role="alert" hidden></p>'
        f'<form method="dialog"><button class="fc-consent-agree">{texts.html("consent_agree")}</button></form></dialog>'
    )


def terms_page(terms: Terms, product: str, texts: Texts, style: str) -> str:
    """The terms by themselves, for a link. `style`: the colours as custom properties."""
    title = texts.html("terms")
    return (
        f'<!doctype html>\n<html lang="{texts.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · {escaped(product)}</title><style>{style}{packaged('terms.css')}</style></head>"
        f'<body><main{_lang(terms)}><h1 lang="{texts.language}">{title}</h1>{terms.html}</main></body></html>'
    )


def _lang(terms: Terms) -> str:
    return f' lang="{terms.language}"' if terms.language else ""


def consent_head(*, arena: str = DEFAULT, root: str = "") -> str:
    """For the document's head: the script that asks, and how the dialog looks. `root` leads to where the API is."""
    where = json.dumps({"arena": arena, "root": root}).replace("<", "\\u003c")
    return (
        f"<style>{packaged('consent.css')}</style><script>window.fcConsent = {where};{packaged('consent.js')}</script>"
    )


_TERMS_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
}


def consent_router(
    arena: Arena,
    identify: Callable[[Request], Visitor],
    catalogue: Catalogue,
    *,
    is_forced: bool = False,
    style: str = "",
) -> APIRouter:
    """`GET /consent`: the dialog, or nothing to ask (204). `GET /terms`: the terms as a page.

    Raises:
        SetupError: an arena's terms cannot be read.
    """
    terms: Mapping[str, Terms] = {name: read_terms(config) for name, config in arena.configs.items()}
    router = APIRouter(route_class=ErrorsInWords, include_in_schema=False)

    @router.get("/consent")
    async def ask(
        request: Request,
        name: Annotated[str, Query(alias="arena")] = DEFAULT,
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        who = identify(request)
        config = arena.config(who, name)
        if not is_forced and await arena.consent(who, name) is not None:
            return Response(status_code=204)
        texts = catalogue.best(accept_language, fixed=config.language)
        return HTMLResponse(consent_html(config, terms[name], texts, arena=name))

    @router.get("/terms")
    async def show(
        request: Request,
        name: Annotated[str, Query(alias="arena")] = DEFAULT,
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        config = arena.config(identify(request), name)
        texts = catalogue.best(accept_language, fixed=config.language)
        page = terms_page(terms[name], title_of(name, config), texts, style + style_of(config.look))
        return HTMLResponse(page, headers=_TERMS_HEADERS)

    return router
