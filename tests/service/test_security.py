"""Who may do what: tokens, sessions, the Host and the Origin of a request, and the headers of every answer."""

from __future__ import annotations

import hmac
import logging

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from mango.errors import OptionError
from mango.service import security
from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.logs import JsonFormatter
from mango.service.security import COOKIE, HEADERS, Security, SecuritySettings, Tokens, check_bind

WRITE, READ = "write-token-0123456789", "read-token-0123456789"
STUDY = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 30}


@pytest.fixture
def made(tmp_path):
    """Makes clients of services that are closed in the end."""
    opened = []

    def make(settings=None, **headers):
        client = TestClient(
            create_app(Hub(f"sqlite:///{tmp_path}/{len(opened)}.db"), settings),
            base_url="http://localhost:8700",
            headers=headers,
        )
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def guarded(made):
    return made(SecuritySettings(tokens=Tokens.of(read=[READ], write=[WRITE])))


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def refused(said, status, kind):
    error = said.json()["error"]
    assert (said.status_code, error["kind"]) == (status, kind), said.text
    return error["message"]


# -- tokens ---------------------------------------------------------------------------------------------------------


def test_without_a_token_everything_but_the_sign_in_page_is_refused(guarded):
    for path in ("/v1/studies", "/v1/studies/a/events", "/v1/nothing", "/docs", "/openapi.json", "/metrics"):
        said = guarded.get(path)
        assert "Authorization: Bearer" in refused(said, 401, "Unauthorized")
        assert said.headers["www-authenticate"] == "Bearer"
    refused(guarded.post("/v1/studies", json=STUDY), 401, "Unauthorized")
    for path in ("/", "/healthz", "/page/style.css", "/v1/session"):
        assert guarded.get(path).status_code == 200, path
    assert guarded.get("/v1/session").json() == {"access": "none"}


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", f"Bearer {WRITE}x", f"Bearer {WRITE[:-1]}", f"Basic {WRITE}", WRITE, f"Bearer {WRITE} x"],
)
def test_what_is_not_the_token_is_refused(guarded, header):
    refused(guarded.get("/v1/studies", headers={"Authorization": header}), 401, "Unauthorized")
    refused(guarded.get("/v1/studies", headers=[(b"Authorization", b"Bearer \xff\xfe")]), 401, "Unauthorized")


def test_one_token_reads_and_one_writes(guarded):
    assert guarded.post("/v1/studies", json=STUDY, headers=bearer(WRITE)).status_code == 201
    assert guarded.get("/v1/studies/a", headers=bearer(READ)).status_code == 200
    assert guarded.get("/metrics", headers=bearer(READ)).status_code == 200
    for method, path in (("POST", "/v1/studies/a/ask"), ("DELETE", "/v1/studies/a"), ("PURGE", "/v1/studies/a")):
        message = refused(guarded.request(method, path, headers=bearer(READ)), 403, "ReadOnly")
        assert message == f"this token only reads; {method} needs one that writes"
    assert guarded.post("/v1/studies/a/ask", json={}, headers=bearer(WRITE)).status_code == 200
    assert guarded.get("/v1/session", headers=bearer(READ)).json() == {"access": "read"}
    assert guarded.get("/v1/session", headers={"Authorization": f"bearer  {WRITE}"}).json() == {"access": "write"}


def test_every_token_is_compared_in_constant_time(monkeypatch):
    """The one place where a secret is compared is `hmac.compare_digest`, over digests, for all tokens each time."""
    tokens = Tokens.of(read=[READ, READ + "2"], write=[WRITE, WRITE + "2"])
    compared = []

    def never(one, other):
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", never)
    assert tokens.access(WRITE) == "none"  # as the comparison now says
    assert len(compared) == 4
    assert {len(side) for pair in compared for side in pair} == {32}


@pytest.mark.parametrize(
    "token", ["short", "with space in the middle", "with\nnewline-0123456789", "ünïcödé-0123456789"]
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token):
    with pytest.raises(OptionError, match="a read token must have at least 16 characters") as raised:
        Tokens.of(read=[token])
    assert token not in str(raised.value)
    assert not Tokens.of(write=[])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "rig.lab.edu", "", "localhost.evil.org"])
def test_without_tokens_only_loopback_is_served(host):
    with pytest.raises(OptionError, match="binds only to loopback"):
        check_bind(host, Tokens())
    check_bind(host, Tokens.of(read=[READ]))


def test_loopback_needs_no_token():
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"):
        check_bind(host, Tokens())


# -- sessions -------------------------------------------------------------------------------------------------------


def test_a_session_stands_for_the_token_and_never_holds_it(guarded):
    refused(guarded.post("/v1/session", json={"token": WRITE + "x"}), 401, "Unauthorized")
    said = guarded.post("/v1/session", json={"token": READ})
    assert said.status_code == 204
    cookie = said.headers["set-cookie"]
    assert READ not in cookie
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert guarded.get("/v1/session").json() == {"access": "read"}
    assert guarded.get("/v1/studies").status_code == 200
    refused(guarded.post("/v1/studies", json=STUDY), 403, "ReadOnly")
    assert guarded.post("/v1/studies", json=STUDY, headers=bearer(WRITE)).status_code == 201  # a token counts first
    refused(guarded.get("/v1/studies", headers=bearer("wrong-token-0123456789")), 401, "Unauthorized")
    assert guarded.delete("/v1/session").status_code == 204
    refused(guarded.get("/v1/studies"), 401, "Unauthorized")


def test_sessions_end_with_time_and_number(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(security.time, "monotonic", lambda: now)
    tokens = Tokens.of(write=[WRITE])
    guard = Security(SecuritySettings(tokens=tokens, session_seconds=60, sessions=2))
    one, two = (Headers({"cookie": f"{COOKIE}={guard.enter('write')}"}) for _ in range(2))
    assert (guard.access(one), guard.access(two)) == ("write", "write")
    three = Headers({"cookie": f"{COOKIE}={guard.enter('read')}"})
    assert (guard.access(one), guard.access(two), guard.access(three)) == ("none", "write", "read")
    now += 61
    assert (guard.access(two), guard.access(three)) == ("none", "none")
    assert guard.access(Headers({"cookie": f"{COOKIE}="})) == "none"


# -- where it comes from --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.org", "localhost.evil.org", "evil.org:8700", "localhost@evil.org", "", "a b", "[::1", "127.0.0.1.evil.org"],
)
def test_names_that_are_not_of_this_service_are_refused(made, host):
    """DNS rebinding: a page of evil.org reaches 127.0.0.1 by its own name."""
    assert "Host header must name this service" in refused(
        made().get("/healthz", headers={"Host": host}), 403, "HostError"
    )


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8700", "127.0.0.1:1", "[::1]:8700", "10.0.0.7", "rig.lab.edu", "Rig.Lab.edu.:443"]
)
def test_names_and_addresses_of_this_service_are_served(made, host):
    settings = SecuritySettings(hosts=frozenset({"rig.lab.edu"}))
    assert made(settings).get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.org"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://[bad"},
        {"Origin": "http://localhost:8700@evil.org"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
    ],
)
def test_pages_of_others_cannot_write(made, headers):
    client = made()
    assert "another origin" in refused(client.post("/v1/studies", json=STUDY, headers=headers), 403, "OriginError")
    assert client.get("/v1/studies").json() == {"studies": []}


def test_pages_of_others_cannot_embed_but_may_link(made):
    client = made()
    for dest in ("image", "script", "iframe", "empty"):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": dest}
        refused(client.get("/v1/studies", headers=headers), 403, "OriginError")
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}).status_code == 200
    own = {"Origin": "http://localhost:8700", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/studies", json=STUDY, headers=own).status_code == 201


def test_pages_of_an_allowed_origin_read_and_write(made):
    settings = SecuritySettings(tokens=Tokens.of(write=[WRITE]), origins=frozenset({"https://Rig.lab.edu/"}))
    client = made(settings)
    page = {"Origin": "https://rig.lab.edu", "Sec-Fetch-Site": "cross-site"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    said = client.options("/v1/studies", headers={**page, **asked})
    assert (said.status_code, said.text) == (204, "")
    assert "POST" in said.headers["access-control-allow-methods"]
    assert "Authorization" in said.headers["access-control-allow-headers"]
    assert said.headers["access-control-allow-origin"] == "https://rig.lab.edu"
    said = client.post("/v1/studies", json=STUDY, headers={**page, **bearer(WRITE)})
    assert said.status_code == 201
    assert (said.headers["access-control-allow-origin"], said.headers["vary"]) == ("https://rig.lab.edu", "Origin")
    assert "access-control-allow-credentials" not in said.headers  # its pages never get the cookie
    refused(client.get("/v1/studies", headers=page), 401, "Unauthorized")
    for other in ({"Origin": "https://evil.org", **asked}, {**page, **asked, "Host": "evil.org"}):
        assert client.options("/v1/studies", headers=other).status_code in (401, 403)
    assert "access-control-allow-origin" not in client.get("/healthz", headers={"Origin": "https://evil.org"}).headers


@pytest.mark.parametrize("host", ["http://rig.lab.edu", "rig.lab.edu:8700", "*", "", "rig/lab", "a b"])
def test_a_host_that_would_never_fit_is_refused(host):
    with pytest.raises(OptionError, match="a host is a name without scheme"):
        SecuritySettings(hosts=frozenset({host}))


@pytest.mark.parametrize("origin", ["rig.lab.edu", "*", "null", "https://rig.lab.edu/page", "ftp://rig.lab.edu", ""])
def test_an_origin_that_would_never_fit_is_refused(origin):
    with pytest.raises(OptionError, match="an origin is a scheme, a host"):
        SecuritySettings(origins=frozenset({origin}))


def test_every_answer_has_the_headers(made, guarded):
    client = made()
    answers = [
        client.get("/"), client.get("/v1/nothing"), client.get("/v1/studies"), guarded.get("/v1/studies"),
        client.get("/page/style.css"), client.get("//"), client.get("/docs"), client.get("/metrics"),
        client.get("/healthz", headers={"Host": "evil.org"}), client.post("/v1/studies", content=b"{"),
    ]  # fmt: skip
    for said in answers:
        assert {name: said.headers[name] for name in HEADERS} == HEADERS
        assert said.headers["cache-control"] in ("no-store", "no-cache")
        assert len(said.headers["x-request-id"]) == 32


# -- and never says the token ---------------------------------------------------------------------------------------


def test_the_token_is_nowhere(guarded, caplog, monkeypatch):
    """Not in the log, a traceback, an answer, the counters or the repr of what keeps it."""
    caplog.set_level(logging.DEBUG)

    def broken(*_):
        raise RuntimeError("broken")

    said = [
        guarded.get("/v1/studies", headers=bearer(WRITE)),
        guarded.get(f"/v1/studies?token={WRITE}", headers=bearer(WRITE)),
        guarded.get("/v1/studies", headers=bearer(WRITE + "x")),
        guarded.get("/v1/studies", headers={"Authorization": WRITE}),
        guarded.post("/v1/session", json={"token": WRITE}),
        guarded.post("/v1/session", json={"token": [WRITE]}),
        guarded.post("/v1/session", json={"token": {"token": WRITE}}),
        guarded.post("/v1/session", json=WRITE),
        guarded.post("/v1/session", json={"tokens": WRITE}),
        guarded.post("/v1/session", content=f'{{"token": "{WRITE}"', headers={"Content-Type": "application/json"}),
        guarded.post("/v1/session", content=f"token={WRITE}"),
        guarded.post("/v1/session", data={"token": WRITE}),
        guarded.post("/v1/studies", json=STUDY | {"budget": 0}, headers=bearer(WRITE)),
    ]
    monkeypatch.setattr(Hub, "studies", broken)
    said.append(guarded.get("/v1/studies", headers=bearer(WRITE)))
    said.append(guarded.get("/metrics", headers=bearer(WRITE)))
    assert [one.status_code for one in said] == [
        200,
        200,
        401,
        401,
        204,
        422,
        422,
        422,
        422,
        422,
        415,
        415,
        422,
        500,
        200,
    ]
    kept = guarded.app.state.protection.security
    log = [JsonFormatter().format(record) for record in caplog.records if not record.name.startswith("httpx")]
    assert any("RuntimeError: broken" in line for line in log)
    everything = [*log, repr(kept.settings), str(vars(kept)), *(one.text + str(one.headers) for one in said)]
    for text in everything:
        assert WRITE not in text
