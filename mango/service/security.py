"""Who may do what: tokens, sessions of the page, the Host and Origin of a request, and the headers of every answer.

- A token comes as ``Authorization: Bearer ...``, or once to ``POST /v1/session``, which answers with a cookie that
  holds a random session and never the token. Only digests of tokens are kept.
- The Host header must name this service, lest a page of another site reach it by a name that it points here (DNS
  rebinding). An IP address cannot be pointed anywhere and is always allowed.
- A request that a browser sends for another site's page is refused (Origin, Sec-Fetch-Site): on loopback there is no
  token that would. Origins that are allowed get the headers by which a browser lets their pages read the answers
  (CORS); such a page sends a token, never the cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mango.errors import OptionError
from mango.service.bodies import JsonRoute
from mango.service.errors import error_response

Access = Literal["none", "read", "write"]

COOKIE = "mango_session"
SHORTEST = 16  # characters of a token: short ones can be guessed
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")  # what a header carries unchanged, RFC 6750
HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{1,5})?")
ORIGIN = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
SAFE = ("GET", "HEAD", "OPTIONS")
PUBLIC = ("/", "/healthz", "/favicon.ico", "/v1/session")  # the page that asks for a token needs none
PUBLIC_BELOW = "/page/"
NEEDED = "this service needs a token: send `Authorization: Bearer TOKEN`, or sign in on its page"
UNKNOWN = "this service does not know this token; send one that it was started with as `Authorization: Bearer TOKEN`"

POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SHARED = {  # for a page of an origin that is allowed
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Access-Control-Expose-Headers": "Retry-After, X-Request-Id, Mango-Trials, Mango-Attempts, Mango-Shape, "
    "Mango-Dtype, Mango-Lease-Until, Mango-References, Mango-State, Mango-Waiting",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id",
    "Access-Control-Max-Age": "600",
}


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@dataclass(frozen=True)
class Tokens:
    """Digests of the tokens that only read, and of those that read and write; empty: everybody may do everything."""

    read: tuple[bytes, ...] = ()
    write: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, *, read: Iterable[str] = (), write: Iterable[str] = ()) -> Tokens:
        """From the tokens themselves.

        Raises:
            OptionError: a token is short, or cannot stand in a header; the message does not show it.
        """
        kinds = {"read": tuple(read), "write": tuple(write)}
        for kind, tokens in kinds.items():
            for token in tokens:
                if len(token) < SHORTEST or not TOKEN.fullmatch(token):
                    raise OptionError(
                        f"a {kind} token must have at least {SHORTEST} characters of A-Z a-z 0-9 . _ ~ + / = -; got "
                        f"{len(token)} characters. `openssl rand -hex 24` makes one"
                    )
        return cls(*(tuple(_digest(token) for token in kinds[kind]) for kind in ("read", "write")))

    def __bool__(self) -> bool:
        return bool(self.read or self.write)

    def access(self, token: str) -> Access:
        """What the token allows; every one is compared, so that the time taken says nothing."""
        came = _digest(token)
        reads = [hmac.compare_digest(came, one) for one in self.read]
        writes = [hmac.compare_digest(came, one) for one in self.write]
        return "write" if any(writes) else "read" if any(reads) else "none"


def documented(tokens: Tokens) -> list[Any]:
    """For ``include_router(dependencies=...)``: the document says that these paths need a token, where there are any.

    Whether one came, and which, is looked at before any path is.
    """
    bearer = HTTPBearer(scheme_name="token", description=NEEDED, auto_error=False)
    return [Depends(bearer)] if tokens else []


def check_bind(host: str, tokens: Tokens) -> None:
    """Refuses to serve without a token what others can reach.

    Raises:
        OptionError: the address is not of loopback, and no token is set.
    """
    if not tokens and not _loopback(host):
        raise OptionError(
            f"without a token the service binds only to loopback (127.0.0.1, ::1, localhost); got {host!r}. Set a "
            "token that writes, and others that only read if you like, or bind to 127.0.0.1"
        )


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """Who may come in.

    Attributes:
        tokens: none: everybody may do everything, which `check_bind` allows on loopback only.
        hosts: names by which the service is called, beside localhost and IP addresses, such as ``rig.lab.edu``.
        origins: other origins whose pages may call it, such as ``https://rig.lab.edu``.
        session_seconds: how long a sign-in on the page lasts.
        sessions: how many last at once; one more ends the oldest.
    """

    tokens: Tokens = field(default_factory=Tokens)
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    session_seconds: float = 86_400
    sessions: int = 1_000

    def __post_init__(self) -> None:
        """Checks names that would never fit.

        Raises:
            OptionError: not a host's bare name, or not an origin as browsers send it.
        """
        for host in self.hosts:
            found = HOST.fullmatch(host.lower())
            if found is None or found["name"] != host.lower().removesuffix("."):
                raise OptionError(f"a host is a name without scheme, port and path, such as rig.lab.edu; got {host!r}")
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin.lower().rstrip("/")):
                raise OptionError(
                    f"an origin is a scheme, a host and perhaps a port: https://rig.lab.edu; got {origin!r}"
                )


class Security:
    """The tokens and the open sessions of one service."""

    def __init__(self, settings: SecuritySettings) -> None:
        self.settings = settings
        self._hosts = {"localhost", *(name.lower().removesuffix(".") for name in settings.hosts)}
        self._origins = {origin.lower().rstrip("/") for origin in settings.origins}
        # Digest -> access, and its end by time.monotonic(); the oldest first.
        self._sessions: dict[bytes, tuple[Access, float]] = {}

    def access(self, headers: Headers) -> Access:
        """What a request of these headers may do; a token counts before a cookie."""
        if not self.settings.tokens:
            return "write"
        given = headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return self.settings.tokens.access(token.strip()) if scheme.lower() == "bearer" else "none"
        session = self._session(headers)
        access, end = self._sessions.get(session, ("none", 0.0))
        return access if end > time.monotonic() else "none"

    def enter(self, access: Access) -> str:
        """A new session, for the cookie."""
        now = time.monotonic()
        self._sessions = {key: value for key, value in self._sessions.items() if value[1] > now}
        while len(self._sessions) >= self.settings.sessions:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = (access, now + self.settings.session_seconds)
        return session

    def leave(self, headers: Headers) -> None:
        """Ends the session of the cookie, if there is one."""
        self._sessions.pop(self._session(headers), None)

    def shared_with(self, headers: Headers) -> str | None:
        """The origin of the page that sends this, where it is one that is allowed."""
        origin = headers.get("origin")
        return origin if origin is not None and origin.lower() in self._origins else None

    def refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, kind and message of what a request is refused for, before anything of it is done."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._known(host):
            return (
                403,
                "HostError",
                f"the Host header must name this service; got {host[:100]!r}. Where that is its name, allow it when "
                "the service is started: --allow-host NAME",
            )
        if self._foreign(scope["method"], headers, host):
            return (
                403,
                "OriginError",
                "a request from a page of another origin is refused; where that page is to be trusted, allow its "
                "origin when the service is started: --allow-origin ORIGIN",
            )
        path = scope["path"]
        if path in PUBLIC or path.startswith(PUBLIC_BELOW):
            return None
        access = self.access(headers)
        if access == "none":
            return 401, "Unauthorized", UNKNOWN if "authorization" in headers else NEEDED
        if access == "read" and scope["method"] not in SAFE:
            return 403, "ReadOnly", f"this token only reads; {scope['method']} needs one that writes"
        return None

    def _session(self, headers: Headers) -> bytes:
        return _digest(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))

    def _known(self, host: str) -> bool:
        found = HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found["six"] or found["name"].removesuffix(".")
        return name in self._hosts or _address(name) is not None

    def _foreign(self, method: str, headers: Headers, host: str) -> bool:
        """Whether a browser sends this for a page of another origin, as far as it says so."""
        if self.shared_with(headers) is not None:
            return False
        origin = headers.get("origin")
        if method not in SAFE and origin is not None:
            return _authority(origin) != host.lower()
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):  # a link to the page is fine
            return method not in SAFE or headers.get("sec-fetch-dest") != "document"
        return False


class SecurityMiddleware:
    """Refuses who may not come in before anything of the request is read, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, security: Security) -> None:
        self.app = app
        self.security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, if it may come in."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        came = Headers(scope=scope)
        origin = self.security.shared_with(came)

        async def covering(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if origin is not None:
                    headers.update({**SHARED, "Access-Control-Allow-Origin": origin})
                if self.security.settings.origins:
                    headers.add_vary_header("Origin")
                headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
            await send(message)

        refusal = self.security.refusal(scope)
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in came
        if origin is not None and preflight and (refusal is None or refusal[0] == 401):  # it never carries a token
            await Response(status_code=204, headers=PREFLIGHT)(scope, receive, covering)
        elif refusal is None:
            await self.app(scope, receive, covering)
        else:
            status, kind, message = refusal
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            await error_response(scope, status, kind, message, headers)(scope, receive, covering)


class SignIn(BaseModel):
    """What the page sends once."""

    token: str


class SessionState(BaseModel):
    """What the caller may do."""

    access: Access


def session_router(security: Security) -> APIRouter:
    """Signing in and out on the page."""
    router = APIRouter(prefix="/v1/session", tags=["session"], route_class=JsonRoute)

    @router.post("", status_code=204)
    async def sign_in(body: SignIn, request: Request) -> Response:
        """Takes a token, answers with a cookie that stands for it."""
        access = security.settings.tokens.access(body.token) if security.settings.tokens else "write"
        if access == "none":
            raise HTTPException(401, "the service does not know this token", {"WWW-Authenticate": "Bearer"})
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE,
            security.enter(access),
            max_age=int(security.settings.session_seconds),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    @router.get("")
    async def state(request: Request) -> SessionState:
        """What the caller may do."""
        return SessionState(access=security.access(request.headers))

    @router.delete("", status_code=204)
    async def sign_out(request: Request) -> Response:
        """Ends the session of the cookie."""
        security.leave(request.headers)
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response

    return router


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def _authority(origin: str) -> str:
    """``host:port`` of an origin; empty for ``null`` and for what is none."""
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return ""
