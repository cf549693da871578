"""Runs the app under uvicorn until SIGTERM or Ctrl-C, and stops it gracefully.

Stopping: no new connection is taken and event streams are ended; requests that are being answered have `grace` seconds
to finish; then the app's lifespan ends, which closes the studies. A second signal ends the process at once: nothing
that was acknowledged is lost by that.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from starlette.types import Receive, Scope, Send

from mango.errors import OptionError
from mango.evaluators.threads import pin_one_thread
from mango.service.connections import ConnectionSettings, bounded
from mango.service.garbage import set_aside
from mango.service.protection import Protection
from mango.service.security import check_bind

BACKLOG = 2_048  # connections that the system holds until they are taken
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # localhost is ::1, too, also where there is no IPv6
SPARE_FILES = 256  # for the databases, the page and whatever else is not a connection


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where to serve and how to stop.

    Attributes:
        host: an address, or a name that has some.
        port: 0 picks a free one.
        grace: seconds for requests to finish when the service stops.
        connections: how patient it is with clients.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    grace: int = 30
    connections: ConnectionSettings = field(default_factory=ConnectionSettings)


def serve(app: FastAPI, settings: ServerSettings, bound: Callable[[str], None]) -> None:
    """Serves until a signal comes.

    Args:
        app: protected by `mango.service.protection.protect`.
        settings: where to serve and how to stop.
        bound: told the URL by which other machines reach it, before anybody does.

    Raises:
        OptionError: the address cannot be bound, or is not of loopback while no token is set.
        MangoError: whatever of them the start of the app's lifespan raised.
    """
    server = Server(app, settings)
    bound(server.address)
    pin_one_thread()  # two studies that compute at once would set each other's numbers of threads back
    with set_aside():
        server.run()


def called(host: str) -> str:
    """What other machines call the host where a service listens: this machine's name where it does so everywhere."""
    try:
        everywhere = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        everywhere = False
    return socket.gethostname() if everywhere else host


class Server:
    """One app at one address; `serve` is all that a command needs, tests run it in a thread.

    Args:
        app: protected by `mango.service.protection.protect`.
        settings: where to serve and how to stop.
        ready: called with the URL as soon as it answers; the default prints it on standard error.

    Attributes:
        url: where it answers.
        address: the same as other machines say it.

    Raises:
        OptionError: the address cannot be bound, or is not of loopback while no token is set.
    """

    def __init__(self, app: FastAPI, settings: ServerSettings, ready: Callable[[str], None] | None = None) -> None:
        protection: Protection = app.state.protection
        check_bind(settings.host, protection.security.settings.tokens)
        _allow_files(settings.connections.most + SPARE_FILES)
        self._app = app
        self._failure: BaseException | None = None
        self._sockets = _listening(settings.host, settings.port)
        port = self._sockets[0].getsockname()[1]
        self.url, self.address = _url(settings.host, port), _url(called(settings.host), port)
        config = uvicorn.Config(
            self._watched,
            interface="asgi3",
            http=bounded(settings.connections),
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=settings.connections.idle,
            timeout_graceful_shutdown=settings.grace,
        )
        self._uvicorn = _Uvicorn(config, protection, lambda: (ready or _print_url)(self.url))

    def run(self) -> None:
        """Serves until `stop` or, in the main thread, a signal."""
        try:
            self._uvicorn.run(self._sockets)
        except SystemExit:
            if self._failure is None:
                raise
            raise self._failure from None
        finally:
            for one in self._sockets:
                one.close()

    def stop(self) -> None:
        """Begins to stop, gracefully; `run` then returns. From any thread."""
        self._uvicorn.should_exit = True

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app; why its lifespan failed is kept, for uvicorn only logs it."""
        try:
            await self._app(scope, receive, send)
        except BaseException as failure:
            if scope["type"] == "lifespan":
                self._failure = failure
            raise


class _Uvicorn(uvicorn.Server):
    """Says when it answers, ends event streams when it stops, and leaves signals to nobody else."""

    def __init__(self, config: uvicorn.Config, protection: Protection, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._protection = protection
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:  # not where the lifespan failed
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._protection.limits.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True  # uvicorn's own would raise the signal again once all is done, and end with its code


def _print_url(url: str) -> None:
    console = Console(stderr=True, highlight=False, emoji=False)
    console.print(
        f"[bold]mango[/] serves at [bold cyan]{url}[/] (its interface: {url}/docs; Ctrl-C stops it)", soft_wrap=True
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listening(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host that this machine has, all at one port."""
    if not 0 <= port <= 65_535:
        raise OptionError(f"a port lies in 0 to 65535 (0 picks a free one); got {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        message = f"the host must be an address of this machine, or a name of one; got {host!r}: {error}"
        raise OptionError(message) from None
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        at = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bound(socket.socket(family, kind, protocol), (address[0], at, *address[2:])))
        except OSError as error:
            if error.errno in ABSENT:
                absent = error
                continue
            for one in sockets:
                one.close()
            raise OptionError(_reason(error, host, at)) from None
    if not sockets:
        assert absent is not None  # a name has addresses, or getaddrinfo raises
        raise OptionError(_reason(absent, host, port))
    return sockets


def _bound(one: socket.socket, address: tuple[str | int, ...]) -> socket.socket:
    try:
        if os.name == "posix":  # elsewhere it would let two services share a port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; stop what serves there, or take another port (0 picks a free one)"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} needs more rights; take one above 1023 (0 picks a free one)"
    return f"{host} port {port} cannot be bound: {error.strerror}; the host must be an address of this machine"


def _allow_files(wanted: int) -> None:
    """Raises the soft limit of open files as far as is wanted and allowed: a connection is one."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
