"""The login: a page, its form, the way over an OpenID provider and back, and the way out."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from fastchat.access.addresses import address_hash
from fastchat.access.cookies import SESSION, SIGNING_IN, read_cookie, seal, unseal, write_cookie
from fastchat.access.directory import SignedIn, Source
from fastchat.access.limits import RateLimit, Rule, admit
from fastchat.access.oidc import Oidc
from fastchat.access.same_origin import require_same_origin
from fastchat.access.secret import keyed_hash
from fastchat.access.visitors import Visitors
from fastchat.core.errors import AuthenticationFailed, FastChatError, InvalidRequest, RateLimited, UnknownRoute
from fastchat.core.http import read_body

_FORM_LIMIT = 16 * 1024
_ATTEMPT_S = 600
_SCRYPTS_AT_ONCE = 2  # each is a core's work and 16 MiB

# The page needs nothing but its own style. (`form-action` would also forbid the redirect that answers the form.)
_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "frame-ancestors 'none'",
}


def _per_address() -> RateLimit:
    return RateLimit((Rule(20, 60), Rule(200, 3600)))


def _per_name() -> RateLimit:
    # Generous, because it also counts strangers who try to lock somebody out.
    return RateLimit((Rule(100, 3600),))


@dataclass(frozen=True, slots=True)
class SignInWords:
    """What the page says, in one language."""

    language: str = "en"
    sign_in: str = "Sign in"
    sign_in_to: str = "Sign in to {product}"
    sign_in_with: str = "Sign in with {provider}"
    user_name: str = "Name"
    password: str = "Password"
    or_else: str = "or"
    wrong_password: str = "The name or the password is not right."
    too_often: str = "That was tried too often. Try again in {seconds} s."
    no_logins: str = "There are no logins on this server."


_ENGLISH = SignInWords()


def _in_english(accept_language: str) -> SignInWords:
    return _ENGLISH


@dataclass(frozen=True, slots=True)
class SignInOptions:
    product: str = "FastChat"
    public_url: str | None = None  # where browsers find us, where the Host header does not tell; may end in a path
    root_path: str = ""  # that path alone, where the rest of the address is told
    session_s: int = 14 * 86400
    words: Callable[[str], SignInWords] = _in_english  # for an `Accept-Language`
    by_address: RateLimit = field(default_factory=_per_address)
    by_name: RateLimit = field(default_factory=_per_name)

    @property
    def root(self) -> str:
        """The path under which a proxy shows us, without a slash at its end."""
        return urlsplit(self.public_url or self.root_path).path.rstrip("/")


class SignIn:
    def __init__(self, visitors: Visitors, oidc: Oidc | None = None, options: SignInOptions | None = None) -> None:
        self._visitors = visitors
        self._oidc = oidc
        self._options = options or SignInOptions()
        self._scrypts = asyncio.Semaphore(_SCRYPTS_AT_ONCE)
        self._page = _load_page()

    def routes(self) -> list[Route]:
        """To stand before whatever else would answer to these paths."""
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.submit, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
            Route("/login/oidc", self.depart, methods=["GET"]),
            Route("/login/oidc/callback", self.arrive, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        wanted = safe_path(request.query_params.get("next"))
        if self._visitors.person(request.scope):
            return self._go_on(wanted)
        return self._render(request, wanted)

    async def submit(self, request: Request) -> Response:
        form: Mapping[str, str] = {}
        try:
            require_same_origin(request.scope, self._visitors.proxies)
            form = await _read_form(request)
            user, password = form.get("username", "").strip(), form.get("password", "")
            self._admit(request, user)
            async with self._scrypts:
                person = await asyncio.to_thread(self._visitors.directory.by_password, user, password)
            if person is None:
                raise AuthenticationFailed(_ENGLISH.wrong_password)
        except FastChatError as error:
            return self._render(request, safe_path(form.get("next")), error, user=form.get("username", ""))
        return self._welcome(request, SignedIn(person, Source.PASSWORD), safe_path(form.get("next")))

    async def leave(self, request: Request) -> Response:
        try:
            require_same_origin(request.scope, self._visitors.proxies)
        except FastChatError as error:
            return self._render(request, "/", error)
        return self._with_cookie(self._go_on("/"), request, SESSION, "", max_age_s=0)

    async def depart(self, request: Request) -> Response:
        wanted = safe_path(request.query_params.get("next"))
        try:
            oidc = self._provider(request)
            self._admit(request)
            departure = await oidc.begin(f"{self._own_url(request)}/login/oidc/callback")
        except FastChatError as error:
            return self._render(request, wanted, error)
        carried = self._seal({"attempt": departure.attempt, "next": wanted}, SIGNING_IN, _ATTEMPT_S)
        response = RedirectResponse(departure.url, 303, {"cache-control": "no-store"})
        return self._with_cookie(response, request, SIGNING_IN, carried, max_age_s=_ATTEMPT_S)

    async def arrive(self, request: Request) -> Response:
        wanted = "/"
        try:
            oidc = self._provider(request)
            self._admit(request)
            carried = self._unseal(read_cookie(request.scope, SIGNING_IN), SIGNING_IN)
            if carried is None:
                raise AuthenticationFailed("This login was not begun in this browser, or it took too long. Try again.")
            wanted = safe_path(carried["next"])
            person = await oidc.finish(request.query_params, carried["attempt"])
        except FastChatError as error:
            # Used or not, an attempt is good for one answer.
            return self._with_cookie(self._render(request, wanted, error), request, SIGNING_IN, "", max_age_s=0)
        response = self._welcome(request, SignedIn(person, Source.OIDC), wanted)
        return self._with_cookie(response, request, SIGNING_IN, "", max_age_s=0)

    def _provider(self, request: Request) -> Oidc:
        if self._oidc is None:
            raise UnknownRoute(f"There is nothing at {request.url.path[:200]}.")
        return self._oidc

    def _admit(self, request: Request, user: str = "") -> None:
        place = address_hash(self._visitors.proxies.client(request.scope), self._visitors.key)
        limits = [(self._options.by_address, place)]
        if user:
            limits.append((self._options.by_name, keyed_hash(self._visitors.key, "login name", user)))
        admit("login attempts", *limits)

    def _own_url(self, request: Request) -> str:
        given = self._options.public_url
        return given.rstrip("/") if given else self._visitors.proxies.origin(request.scope).url + self._options.root

    def _welcome(self, request: Request, signed_in: SignedIn, wanted: str) -> Response:
        session = self._visitors.directory.session_of(signed_in, self._visitors.key)
        sealed = self._seal(session, "session", self._options.session_s)
        return self._with_cookie(self._go_on(wanted), request, SESSION, sealed, max_age_s=self._options.session_s)

    def _seal(self, payload: Mapping[str, Any], purpose: str, lasts_s: float) -> str:
        expires_at = self._visitors.clock() + lasts_s
        return seal(payload, key=self._visitors.key, purpose=purpose, expires_at=expires_at)

    def _unseal(self, sealed: str | None, purpose: str) -> dict[str, Any] | None:
        return unseal(sealed, key=self._visitors.key, purpose=purpose, now=self._visitors.clock())

    def _with_cookie(self, response: Response, request: Request, name: str, value: str, *, max_age_s: int) -> Response:
        is_secure = self._own_url(request).startswith("https:")
        response.headers.append("set-cookie", write_cookie(name, value, max_age_s=max_age_s, is_secure=is_secure))
        return response

    def _go_on(self, wanted: str) -> Response:
        return RedirectResponse(f"{self._options.root}{wanted}", 303, {"cache-control": "no-store"})

    def _render(self, request: Request, wanted: str, error: FastChatError | None = None, *, user: str = "") -> Response:
        words = self._options.words(request.headers.get("accept-language", ""))
        text = self._page.render(
            words=words,
            product=self._options.product,
            root=self._options.root,
            next=wanted,
            user=user,
            error=_told(error, words) if error else None,
            has_passwords=bool(self._visitors.directory.passwords),
            provider=self._oidc.settings.title if self._oidc else None,
        )
        headers = dict(_HEADERS)
        if error is not None and error.retry_after_s is not None:
            headers["retry-after"] = str(error.retry_after_s)
        return HTMLResponse(text, error.status if error else 200, headers)


def _told(error: FastChatError, words: SignInWords) -> str:
    """In the reader's language where it is one of the usual things; providers say theirs in English."""
    if words.language == _ENGLISH.language:
        return error.message
    if error.message == _ENGLISH.wrong_password:
        return words.wrong_password
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        return words.too_often.format(seconds=error.retry_after_s)
    return error.message


def _load_page() -> Template:
    source = (files("fastchat.access") / "pages" / "login.html").read_text("utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)


def safe_path(wanted: str | None) -> str:
    """A path of ours to go to, whatever somebody wrote into `next`; the front page if it is anything else.

    `//host`, `/\\host` and both with blanks in between lead browsers to another site.
    """
    is_path = wanted is not None and re.fullmatch(r"/(?![/\\])[^\s\\\x00-\x1f\x7f]{0,2000}", wanted)
    return wanted if is_path and wanted is not None else "/"


async def _read_form(request: Request) -> dict[str, str]:
    # Not Starlette's forms: they want a package that nothing else in the core needs.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise InvalidRequest("Send the login as a form: application/x-www-form-urlencoded.")
    body = await read_body(request.scope, request.receive, _FORM_LIMIT)
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    return {name: values[0] for name, values in fields.items()}
