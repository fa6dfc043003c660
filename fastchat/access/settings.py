"""Who may come in, as flags: to be mixed into the settings of a server, which then asks for `access`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from starlette.types import ASGIApp

from fastchat.access.addresses import FORWARDED_FOR, TrustedProxies
from fastchat.access.directory import Directory
from fastchat.access.gate import OPEN_PATHS, LoginGate
from fastchat.access.keys import KeyRing
from fastchat.access.oidc import Oidc, OidcSettings
from fastchat.access.passwords import Passwords
from fastchat.access.same_origin import SameOriginOnly
from fastchat.access.sign_in import SignIn, SignInOptions, SignInWords
from fastchat.access.visitors import Visitors, VoterCookies
from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting


@dataclass(frozen=True, slots=True)
class Access:
    """What a server needs to know its visitors."""

    visitors: Visitors
    sign_in: SignIn
    root: str

    def around(self, app: ASGIApp, *, open_paths: tuple[str, ...] = OPEN_PATHS) -> ASGIApp:
        """The app behind everything that looks at who is coming."""
        gate = LoginGate(app, self.visitors, open_paths=open_paths, root=self.root)
        return VoterCookies(SameOriginOnly(gate, self.visitors.proxies), self.visitors.proxies)


class AccessSettings(Settings):
    trusted_proxies: Items = setting(
        (), "whose word on a client's address counts: networks, addresses, 'loopback' or 'private', by comma"
    )
    address_header: str = setting(
        FORWARDED_FOR, "header in which they give it: x-forwarded-for, forwarded, or one of a single address"
    )
    public_url: str | None = setting(None, "where browsers find this page, where proxies do not tell")
    gradio_root_path: str | None = setting(None, "path or URL under which a proxy shows the page")
    gradio_auth_path: str | None = setting(None, "file of USER:PASSWORD, by comma or line; the page then asks for one")
    api_keys_file: str | None = setting(None, "file of hashed keys, made by `fastchat keys new`", metavar="FILE")
    admins: Items = setting((), "names or e-mail addresses of people who are admins, by comma")
    oidc_issuer: str | None = setting(None, "OpenID provider that signs people in", metavar="URL")
    oidc_client_id: str | None = setting(None, "how that provider knows this server")
    oidc_client_secret: str | None = setting(None, "its secret; better set by environment")
    oidc_title: str = setting("single sign-on", "what the button says behind 'Sign in with'")
    oidc_domains: Items = setting((), "e-mail domains that may sign in, by comma; all if unset")
    oidc_groups: Items = setting((), "groups that may sign in, by comma; all if unset")
    oidc_admin_groups: Items = setting((), "groups whose members are admins, by comma")
    oidc_groups_claim: str = setting("groups", "what the provider calls groups")
    oidc_unverified_email: bool = setting(False, "take addresses that the provider does not say to have verified")

    def access(
        self, key: bytes, *, product: str = "FastChat", words: Callable[[str], SignInWords] | None = None
    ) -> Access:
        """
        Raises:
            SetupError: a file cannot be read, or settings do not fit together.
        """
        provider = self._oidc()
        directory = Directory(
            passwords=Passwords.load(self.gradio_auth_path) if self.gradio_auth_path else Passwords({}),
            ring=KeyRing.load(file=self.api_keys_file),
            admins=self.admins,
            has_oidc=provider is not None,
        )
        proxies = TrustedProxies.parse(self.trusted_proxies, address_header=self.address_header)
        visitors = Visitors(key, directory, proxies)
        options = SignInOptions(product, self.public_url, self.gradio_root_path or "")
        options = replace(options, words=words) if words else options
        return Access(visitors, SignIn(visitors, Oidc(provider) if provider else None, options), options.root)

    def _oidc(self) -> OidcSettings | None:
        if not self.oidc_issuer:
            return None
        if not self.oidc_client_id:
            raise SetupError("--oidc-issuer also needs --oidc-client-id, which the provider gives out.")
        return OidcSettings(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=self.oidc_client_secret,
            title=self.oidc_title,
            allowed_domains=self.oidc_domains,
            allowed_groups=self.oidc_groups,
            admin_groups=self.oidc_admin_groups,
            groups_claim=self.oidc_groups_claim,
            trusts_unverified_email=self.oidc_unverified_email,
        )
