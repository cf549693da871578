"""Which of several media types an Accept header likes best."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from mango.service.paths import wanted

OFFERED = ("application/json", "application/octet-stream", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "place"),
    [
        ("", 0), ("*/*", 0), ("application/*", 0), ("application/json", 0), ("application/x-npy", 2),
        ("Application/X-NPY; q=1", 2), ("application/octet-stream, */*", 1), ("*/*, application/octet-stream", 1),
        ("application/json;q=0.1, application/x-npy;q=0.9", 2), ("application/json;q=0, */*", 1),
        ("text/html, */*;q=0.1", 0), ("application/x-npy, application/octet-stream", 2),
        ("*/*;q=0.5, application/*;q=0.1, application/x-npy;q=0.2", 2),
    ],
)  # fmt: skip
def test_the_best_liked_is_taken(accept, place):
    assert wanted(accept, OFFERED) == OFFERED[place]


@pytest.mark.parametrize("accept", ["text/html", "application/xml, image/*", "*/*;q=0", "application/json;q=x", ";;,,"])
def test_what_is_not_offered_is_said(accept):
    with pytest.raises(HTTPException, match="expected Accept: application/json or") as raised:
        wanted(accept, OFFERED)
    assert raised.value.status_code == 406
