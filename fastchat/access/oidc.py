"""Signing in at an OpenID Connect provider: authorization code with PKCE, by authlib, which is imported when used.

What a browser carries between the two halves (state, nonce, verifier) is for the caller to keep; nothing is kept here
but what the provider says of itself.
"""

import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypedDict, cast
from urllib.parse import urlsplit

from fastchat.access.people import Person, Role
from fastchat.core.errors import AuthenticationFailed, LoginProviderFailed, MissingPackage, PermissionDenied, SetupError

_SYMMETRIC = ("none", "HS256", "HS384", "HS512")
LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class OidcSettings:
    issuer: str
    client_id: str
    client_secret: str | None = None  # None: a public client, whom PKCE alone protects
    title: str = "single sign-on"  # on the button, behind "Sign in with"
    scope: str = "openid email profile"
    allowed_domains: tuple[str, ...] = ()  # of e-mail addresses; none: whoever the provider lets in
    allowed_groups: tuple[str, ...] = ()  # none: everybody
    admin_groups: tuple[str, ...] = ()
    groups_claim: str = "groups"
    # Entra ID never says that it has verified an address. With a tenant of one's own, it need not.
    trusts_unverified_email: bool = False
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        url = urlsplit(self.issuer)
        if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname)):
            raise SetupError(f"The OpenID issuer {self.issuer!r} is not an https address.")


class Attempt(TypedDict):
    """What must come back with the browser. Whoever keeps it keeps it from being changed."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Departure:
    url: str  # where the browser goes
    attempt: Attempt


class Oidc:
    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._app = _authlib_app(settings)

    async def begin(self, redirect_uri: str) -> Departure:
        """
        Raises:
            LoginProviderFailed: the provider does not answer, or not as it should.
        """
        with _provider_errors():
            await self._discover()
            made = await self._app.create_authorization_url(redirect_uri)
        attempt = {"redirect_uri": redirect_uri, **{name: made[name] for name in ("state", "nonce", "code_verifier")}}
        return Departure(made["url"], cast(Attempt, attempt))

    async def finish(self, answer: Mapping[str, str], attempt: Attempt) -> Person:
        """The person whom the provider has sent back with this query.

        Raises:
            AuthenticationFailed: the provider refused, or what came back is not what was asked for.
            PermissionDenied: the person is known, but not wanted here.
            LoginProviderFailed: the provider does not answer, or not as it should.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt["state"].encode()):
            raise AuthenticationFailed("This login was not begun in this browser, or another one was since. Try again.")
        with _provider_errors():
            issuer = await self._discover()
            if "error" in answer or "code" not in answer or answer.get("iss", issuer) != issuer:
                raise AuthenticationFailed("The login provider did not sign you in. Try again.")
            token = await self._app.fetch_access_token(
                attempt["redirect_uri"], code=answer["code"], code_verifier=attempt["code_verifier"]
            )
            claims = await self._claims(token, attempt["nonce"], issuer)
        return self._person(claims)

    async def _discover(self) -> str:
        """The issuer as it writes itself, once its own word agrees with ours."""
        metadata = await self._app.load_server_metadata()
        issuer = str(metadata.get("issuer"))
        if issuer.rstrip("/") != self.settings.issuer.rstrip("/"):
            raise LoginProviderFailed("The login provider calls itself by another name than the one configured.")
        algorithms = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in algorithms if name not in _SYMMETRIC]
        return issuer

    async def _claims(self, token: dict[str, Any], nonce: str, issuer: str) -> dict[str, Any]:
        expected = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
        }
        claims = await self._app.parse_id_token(token, nonce, claims_options=expected, leeway=LEEWAY_S)
        if claims is None:
            raise LoginProviderFailed("The login provider sent no identity.")
        wanted = ["email", self.settings.groups_claim] if self._asks_for_groups else ["email"]
        if "userinfo_endpoint" in self._app.server_metadata and any(name not in claims for name in wanted):
            told = await self._app.userinfo(token=token)
            if told.get("sub") != claims["sub"]:
                raise AuthenticationFailed("The login provider spoke of two different people. Try again.")
            return {**told, **claims}
        return dict(claims)

    @property
    def _asks_for_groups(self) -> bool:
        return bool(self.settings.allowed_groups or self.settings.admin_groups)

    def _person(self, claims: Mapping[str, Any]) -> Person:
        email = str(claims.get("email") or "").strip().lower()
        # An address that anybody could have typed in would make him whoever's it is.
        is_verified = claims.get("email_verified", self.settings.trusts_unverified_email) in (True, "true")
        if "@" not in email or not is_verified:
            raise PermissionDenied("The login provider does not vouch for an e-mail address of yours.")
        domains = [domain.lower().lstrip("@") for domain in self.settings.allowed_domains]
        if domains and email.rpartition("@")[2] not in domains:
            raise PermissionDenied(f"Addresses like {email} may not sign in here.")
        said = claims.get(self.settings.groups_claim) or ()
        groups = {said} if isinstance(said, str) else set(map(str, said))
        is_admin = not groups.isdisjoint(self.settings.admin_groups)
        if self.settings.allowed_groups and not is_admin and groups.isdisjoint(self.settings.allowed_groups):
            raise PermissionDenied(f"{email} is in no group that may sign in here.")
        return Person(email, Role.ADMIN if is_admin else Role.VOTER)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _authlib_app(settings: OidcSettings) -> Any:  # Any: authlib is untyped
    for package in ("authlib", "httpx2"):
        if find_spec(package) is None:
            raise MissingPackage(package, "arena", "Signing in at an OpenID provider")
    from authlib.integrations.starlette_client import StarletteOAuth2App

    return StarletteOAuth2App(
        None,  # it would keep state in Starlette's session; we keep our own
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": settings.scope,
            "code_challenge_method": "S256",
            "timeout": settings.timeout_s,
            "leeway": 0,  # left alone, it takes a token that lives for a minute for one that has expired
        },
    )


@contextmanager
def _provider_errors() -> Iterator[None]:
    import httpx2
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    try:
        yield
    except (AuthlibBaseError, JoseError) as error:
        raise AuthenticationFailed(f"The login could not be verified ({_name(error)}). Try again.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise LoginProviderFailed(f"The login provider does not answer ({type(error).__name__}).") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # documents that lack or twist a field
        raise LoginProviderFailed("The login provider's answer makes no sense.") from error


def _name(error: Exception) -> str:
    return str(getattr(error, "error", "") or type(error).__name__)
