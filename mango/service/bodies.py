"""Bodies read as JSON, strictly: whatever two programs could read differently is refused, with the reason.

The framework's own reader takes UTF-16, keeps the last of several values of one name, takes text that no UTF-8 can
hold (lone surrogates, which then cannot be answered), and says of all else only that it could not be parsed. NaN and
Infinity are still read: the schemas say where a lost response may stand, and refuse infinity by its name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(data: bytes) -> Any:
    """What a body says.

    Raises:
        json.JSONDecodeError: it is not JSON, which the framework reports with its place.
        HTTPException: 400, not UTF-8, nested too deep, a name twice in one object, text that is none, or a number of
            too many digits.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"a body is JSON in UTF-8; byte {error.start} is not ({error.reason})") from None
    try:
        said = json.loads(text, object_pairs_hook=_object)
        if ESCAPED_SURROGATE.search(text):
            json.dumps(said, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise _refused("the JSON in the body is nested too deep") from None
    except UnicodeEncodeError:
        raise _refused("a text in the body holds half a surrogate pair, which is no character") from None
    except ValueError:  # Python's bound on the digits of a whole number
        raise _refused("a whole number in the body has too many digits") from None
    return said


class JsonRoute(APIRoute):
    """A route that reads bodies by `read_json` and takes them as ``application/json`` only; forms are left alone."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, given a request that reads so."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return strictly


class _JsonRequest(Request):
    """The framework asks for the body, then for its JSON where the type says so; forms never come here."""

    async def body(self) -> bytes:
        data = await super().body()
        kind = self.headers.get("content-type", "")
        if data and kind.partition(";")[0].strip().lower() != "application/json":
            came = f"got {kind[:100]!r}" if kind else "none came"
            raise HTTPException(415, f"a body needs Content-Type: application/json; {came}")
        return data

    async def json(self) -> Any:
        return read_json(await self.body())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise _refused(f"{json.dumps(twice[:80])} stands twice in one object of the body")
    return found


def _refused(message: str) -> HTTPException:
    return HTTPException(400, message)
