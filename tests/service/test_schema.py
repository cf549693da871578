"""schemathesis sends what the OpenAPI document allows, and what it does not: every answer fits it, none is a 5xx.

The two studies whose names it is led to are one with a space and one with a generator, references and told trials, so
that stimuli are drawn and answers taken, too.
"""

from __future__ import annotations

import atexit
import re
import tempfile
from collections import defaultdict

import numpy as np
import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance  # noqa: E402

from mango.service.app import create_app  # noqa: E402
from mango.service.hub import Hub  # noqa: E402
from mango.service.limits import LimitSettings  # noqa: E402
from mango.service.schemas import NAME, Box, References, StudyNew  # noqa: E402
from mango.service.security import SecuritySettings, Tokens  # noqa: E402
from mango.trial import Result  # noqa: E402

TRIALS = 12
STUDIES = ("space", "pictures")
KEPT = ("/finish", "DELETE")  # operations and methods that would end them
EVENTS = "/events$"  # never ends
TOKEN = "write-token-0123456789"
LEAVE_OUT = [positive_data_acceptance]  # what fits may still make no sense


def hub_of_two_studies():
    """In a folder that goes with the process: the document is needed before there are fixtures."""
    folder = tempfile.TemporaryDirectory()
    hub = Hub(f"sqlite:///{folder.name}/mango.db")
    atexit.register(folder.cleanup)
    atexit.register(hub.close)
    common = {"budget": 100_000, "optimizer": "random"}
    hub.create(StudyNew(name="space", space=Box(kind="box", dim=2), **common))
    references = References(every=4, codes=[[0.5] * 3072])
    pictures = hub.create(StudyNew(name="pictures", generator="pixels", references=references, **common))
    pictures.hand_out(TRIALS, None, None)
    for number in range(0, TRIALS, 2):
        pictures.take_in([Result(number, 1, (1.0,))], {}, {number: np.array([[1.0, np.nan]])}, None)
    return hub


def led(schema):
    """Its cases come to the two studies, and to trials that were asked, wherever a name or a number is a good one."""

    @schema.hook("map_path_parameters")
    def to_studies(context, path_parameters):
        found = dict(path_parameters or {})
        name, number = found.get("name"), found.get("number")
        operation = context.operation
        ends = operation.method.upper() in KEPT or operation.path.endswith(KEPT)
        if isinstance(name, str) and re.fullmatch(NAME, name) and not ends:
            chosen = {"enqueue": "space", "fail": "pictures", "response.npy": "pictures"}
            found["name"] = chosen.get(operation.path.rpartition("/")[2], STUDIES[len(name) % 2])
        if isinstance(number, int) and 0 <= number <= 2**53:
            found["number"] = number % TRIALS // 2 * 2 if operation.path.endswith("response.npy") else number % TRIALS
        if isinstance(found.get("image"), int) and 0 <= found["image"] <= 2**53:
            found["image"] = 0
        return found

    @schema.hook("map_query")
    def to_trials(context, query):  # noqa: ARG001
        found = dict(query or {})
        if isinstance(found.get("numbers"), str) and re.fullmatch("[0-9]{1,15}", found["numbers"]):
            found["numbers"] = "0,3"
        return found

    @schema.hook("map_body")
    def to_good_content(context, body):
        path = context.operation.path
        if not isinstance(body, dict):
            return body
        changed = dict(body)
        if path.endswith("/enqueue") and good_codes(body.get("codes")):
            changed["codes"] = [[0.0, 0.5]]
        generator = body.get("generator")
        if (
            path.endswith("/render")
            and good_codes(body.get("codes"))
            and isinstance(generator, str)
            and len(generator) < 9
        ):
            changed |= {"generator": "pixels", "codes": [[0.5] * 3072]}
        if path == "/v1/studies" and {"name"} <= set(body) <= {"name", "budget"}:
            changed |= {"space": {"kind": "box", "dim": 2}, "optimizer": "random"}
        if path.endswith("/fail") and isinstance(body.get("trials"), list):
            changed["trials"] = [good_trial(trial) for trial in body["trials"]]
        return changed

    return schema


def good_codes(codes):
    rows = codes if isinstance(codes, list) else [None]
    numbers = [row if isinstance(row, list) and row else [None] for row in rows]
    return 0 < len(rows) < 9 and all(type(n) in (int, float) for row in numbers for n in row)


def good_trial(trial):
    """The one that is open, in place of any other well-formed one."""
    if not isinstance(trial, dict) or not {"number", "attempt"} <= set(trial):
        return trial
    good = all(
        type(trial[name]) is int and least <= trial[name] <= 2**31 for name, least in (("number", 0), ("attempt", 1))
    )
    return trial | {"number": 1, "attempt": 1} if good else trial


def served(tokens=None):
    security = SecuritySettings(hosts=frozenset({"testserver"}), tokens=tokens or Tokens())
    app = create_app(hub_of_two_studies(), security, LimitSettings(body=2**20))
    headers = {"Authorization": f"Bearer {TOKEN}"} if tokens else {}
    return led(schemathesis.openapi.from_asgi("/openapi.json", app, headers=headers))


OPEN, GUARDED = served(), served(Tokens.of(write=[TOKEN]))
WIDE = served()
for quick in (OPEN, GUARDED):
    quick.config.phases.coverage.enabled = False  # hundreds of cases for each operation
ANSWERED: dict[str, set[int]] = defaultdict(set)  # operation -> statuses


def seeded(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@(OPEN.exclude(path_regex=EVENTS).parametrize())
@seeded(8)
def test_every_answer_fits_the_document(case):
    answer = case.call_and_validate(excluded_checks=LEAVE_OUT)
    ANSWERED[case.operation.label].add(answer.status_code)


def test_what_was_sent_was_not_all_refused():
    """Else the answers that matter were never seen."""
    if not ANSWERED:
        pytest.skip("the cases did not run")
    unseen = {label for label, statuses in ANSWERED.items() if min(statuses) >= 300}
    assert unseen <= {
        "POST /v1/studies/{name}/finish",  # of no study that there is
        "DELETE /v1/studies/{name}",
        "POST /v1/studies/{name}/enqueue/images",  # a PNG of the right size
    }


@(GUARDED.exclude(path_regex=EVENTS).parametrize())
@seeded(1)
def test_no_operation_forgets_the_token(case):
    case.call_and_validate(checks=[ignored_auth], headers={"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.slow
@(WIDE.exclude(path_regex=EVENTS).parametrize())
@seeded(20)
def test_every_answer_fits_the_document_in_many_cases(case):
    case.call_and_validate(excluded_checks=LEAVE_OUT)
