"""An OpenID provider on loopback: discovery, authorization, tokens signed with RS256, keys, userinfo."""

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

CLIENT_ID, CLIENT_SECRET = "fastchat", "between us"


@dataclass
class FakeOidc:
    """What a test may change is a field. Signs whoever comes in as `user`."""

    issuer: str = ""
    user: dict[str, Any] = field(default_factory=lambda: {"email": "ada@corp.example", "email_verified": True})
    userinfo: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)  # put over those of an honest token
    discovery: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    sends_identity: bool = True
    is_down: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    foreign_key: RSAKey | None = None  # signs in place of the published one
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    token_requests: int = 0

    def routes(self) -> Router:
        return Router(
            [
                Route("/.well-known/openid-configuration", self._discover),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
                Route("/userinfo", self._userinfo),
            ]
        )

    async def _discover(self, _: Request) -> Response:
        if self.is_down:
            return Response("", 503)
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.discovery,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        self.token_requests += 1
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {basic}"
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
            or form.get("redirect_uri") != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = {"access_token": "the-token", "token_type": "Bearer", "expires_in": 60}
        return JSONResponse(token | ({"id_token": self._identity(asked["nonce"])} if self.sends_identity else {}))

    def _identity(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "7", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": nonce}
        key: Any = self.foreign_key or self.key
        if self.algorithm.startswith("HS"):
            key = OctKey.import_key(CLIENT_SECRET * 3)
        header = {"alg": self.algorithm, "kid": key.kid or self.key.kid}
        return jwt.encode(header, claims | self.user | self.claims, key, algorithms=[self.algorithm])

    async def _jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer the-token"
        return JSONResponse({"sub": "7", **self.userinfo})
