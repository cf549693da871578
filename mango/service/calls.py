"""Requests to a service that may be away or busy for a while: tries, time-outs, and what it raised, raised here."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import orjson

from mango import errors
from mango.errors import MangoError, OptionError, ServiceError, UnknownName

TIMEOUT, RETRY_FOR = 30.0, 60.0  # seconds
TOKEN = "MANGO_TOKEN"  # environment variable
AGAIN = (408, 429, 500, 502, 503, 504)  # answers after which the same request may succeed
UNTOUCHED = (429,)  # those of them that say that nothing was done
FIRST, LONGEST = 0.1, 5.0  # seconds before the second try, and before any later one
MOST = 60.0  # seconds that a service may ask us to wait
KINDS: dict[str, type[MangoError]] = {"NotFound": UnknownName}  # what the service names otherwise than `mango.errors`

Notice = Callable[[str, float], None]
Key = str | None
Query = Mapping[str, str | int | bool] | None


def silent(message: str, seconds: float) -> None:
    """Tells nobody."""


class Calls:
    """Sends requests until they are answered. Thread-safe.

    Args:
        url: of the service, such as ``http://127.0.0.1:8700``.
        token: of it, if it wants one; by default the first of ``$MANGO_TOKEN``.
        timeout: seconds for each try.
        retry_for: seconds after the first try in which another may begin; infinity: for ever.
        on_retry: told why a request is tried again, and after how many seconds.

    Raises:
        OptionError: no such URL, or a number out of range.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout: float = TIMEOUT,
        retry_for: float = RETRY_FOR,
        on_retry: Notice = silent,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise OptionError(f"timeout must be a number of seconds > 0; got {timeout!r}")
        if not retry_for >= 0:
            raise OptionError(f"retry_for must be a number of seconds >= 0, or infinity; got {retry_for!r}")
        if token is None:
            token = next(iter(os.environ.get(TOKEN, "").split()), None)
        headers = {"User-Agent": "mango", "Accept": "application/json"}
        try:
            self.url = httpx.URL(url.rstrip("/"))
            if self.url.scheme not in ("http", "https") or not self.url.host:
                raise OptionError(f"a service has a URL such as http://127.0.0.1:8700; got {url!r}")
            self._http = httpx.Client(
                base_url=self.url,
                headers=headers | ({} if token is None else {"Authorization": f"Bearer {token}"}),
                timeout=timeout,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise OptionError(f"the URL of a service, or its token, cannot be used: {error}") from None
        self.retry_for = retry_for
        self._on_retry = on_retry
        self._rng = np.random.default_rng()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @contextmanager
    def for_seconds(self, most: float) -> Iterator[None]:
        """Tries no longer than so many seconds."""
        patient, self.retry_for = self.retry_for, min(most, self.retry_for)
        try:
            yield
        finally:
            self.retry_for = patient

    def json(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        repeatable: bool = True,
        query: Query = None,
    ) -> dict[str, Any]:
        """The JSON object that is answered; see `content` for the rest."""
        content = self.content(method, path, body, key=key, repeatable=repeatable, query=query)
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise ServiceError(f"{self.url}{path} does not answer as a mango service does; check the URL")
        return answer

    def content(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        repeatable: bool = True,
        query: Query = None,
    ) -> bytes:
        """What is answered.

        Args:
            method: of the request.
            path: below the URL of the service.
            body: sent as JSON; arrays are lists, NaN is null.
            key: of idempotency; the same for all tries.
            repeatable: whether doing it twice is as doing it once. If not, it is only sent again where it was
                certainly not done.
            query: of the URL.

        Raises:
            MangoError: as the service raised it, with its message.
            ServiceError: it cannot be reached, or does not let this client in.
        """
        headers: dict[str, str] = {} if key is None else {"Idempotency-Key": key}
        data = None
        if body is not None:
            data = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
            headers["Content-Type"] = "application/json"
        deadline, pause = time.monotonic() + self.retry_for, FIRST
        while True:
            try:
                return self._tried(method, path, data, headers, query, repeatable)
            except _Again as failed:
                wait = max(failed.hold, pause * self._rng.uniform(0.5, 1.0))
                if time.monotonic() + wait > deadline:
                    raise failed.error from None
                self._on_retry(str(failed.error), wait)
            time.sleep(wait)
            pause = min(2 * pause, LONGEST)

    def _tried(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
        query: Query,
        repeatable: bool,
    ) -> bytes:
        """What is answered to one try."""
        try:
            answer = self._http.request(method, path, content=data, headers=headers, params=query)
        except httpx.TransportError as failure:
            error = ServiceError(f"{self.url} does not answer: {str(failure) or type(failure).__name__}")
            if isinstance(failure, (httpx.ConnectError, httpx.ConnectTimeout)) or repeatable:
                raise _Again(error) from None
            raise ServiceError(f"{error}; {method} {path} may have been done or not, so it is not sent again") from None
        if answer.is_success:
            return answer.content
        if answer.status_code in (AGAIN if repeatable else UNTOUCHED):
            raise _Again(error_of(answer), _retry_after(answer))
        raise error_of(answer)


class _Again(Exception):
    """A try after which another makes sense, though not before so many seconds."""

    def __init__(self, error: MangoError, hold: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.hold = error, hold


def error_of(answer: httpx.Response) -> MangoError:
    """What the service raised, of the same class and with the same message."""
    try:
        detail = orjson.loads(answer.content)["error"]
        kind, message, request = (str(detail[name]) for name in ("kind", "message", "request_id"))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        said = f"{answer.url} answered {answer.status_code} {answer.reason_phrase}".rstrip()
        return ServiceError(f"{said}, and not as a mango service does; check the URL")
    found = KINDS.get(kind) or getattr(errors, kind, None)
    if not (isinstance(found, type) and issubclass(found, MangoError)):
        found, message = ServiceError, f"{message} (request {request})" if answer.is_server_error else message
    return found.__new__(found, message)  # not by __init__, which in some classes makes the message


def _retry_after(answer: httpx.Response) -> float:
    """Seconds that the service asks us to wait."""
    try:
        seconds = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        return 0.0
    return min(seconds, MOST) if seconds > 0 else 0.0
