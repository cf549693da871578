"""What a search says of how natural its trials are, with whatever the generator knows of it."""

import math

import numpy as np
import pytest

from mango.analysis.findings import Nature
from mango.analysis.stimulus_statistics import rms_contrast
from mango.search.plausibility import judge, told
from mango.space import SearchSpace
from mango.trial import Confirmed, Result, TrialRecord
from tests.fakes import Tiles


def trials(generator, n=20):
    codes = generator.space.sample(n, np.random.default_rng(0))
    priors = generator.log_prior(codes) if hasattr(generator, "log_prior") else np.full(n, np.nan)
    return [TrialRecord(i, code, "o", 1, 0.0, nats) for i, (code, nats) in enumerate(zip(codes, priors, strict=True))]


class Plain(Tiles):
    """The same without quantiles of its own."""

    log_prior_quantiles = None


class Numbers:
    """Codes that are the stimuli, with a log prior but without natural ones."""

    space, stimulus_shape = SearchSpace.box(3), (3,)
    log_prior_quantiles = np.linspace(-3, 0, 31)

    def decode(self, codes):
        return codes

    def log_prior(self, codes):
        return -np.square(codes).sum(1)


def test_all_of_it_is_told():
    records = trials(Tiles())
    values = np.arange(20.0)
    values[3] = np.nan
    natural = Tiles().natural(300, np.random.default_rng(1))
    found = judge(records, values, 19, Tiles(), natural, Nature())
    said = told(found)
    expected = [100 - sum(r.code) / 0.64 for r in records]
    assert np.isnan(found.percentiles[3])
    assert np.delete(found.percentiles, 3).tolist() == pytest.approx(np.clip(np.delete(expected, 3), 0, 100).tolist())
    assert said["percentile"] == pytest.approx(max(expected[19], 0))
    assert said["rms_contrast"] == rms_contrast(Tiles().decode(records[19].code[None]))[0]
    low, high = said["natural_rms_contrast"]
    assert 0 < low < high < 0.5
    assert [one["number"] for one in said["front"]] == list(found.front)
    assert [shown.value for shown in found.shown] == values[list(found.front)].tolist()
    assert 19 in found.front


def test_natural_codes_serve_without_quantiles():
    natural = Tiles().natural(301, np.random.default_rng(1))
    records = trials(Tiles())
    values = np.arange(20.0)
    among = np.sort(Tiles().log_prior(natural))
    records[5] = TrialRecord(5, natural[0], "o", 1, 0.0, among[150])
    assert 45 < judge(records, values, 19, Plain(), natural, Nature()).percentiles[5] < 55
    assert judge(records, values, 19, Plain(), None, Nature()) is None


def test_what_is_not_known_is_left_out():
    values = np.arange(20.0)
    said = told(judge(trials(Numbers()), values, 19, Numbers(), None, Nature()))
    assert said["naturalness"] is not None
    assert (said["rms_contrast"], said["natural_rms_contrast"], said["feature_distance"]) == (None, None, None)
    same = np.tile(Tiles().natural(1, np.random.default_rng(1)), (50, 1))
    assert judge(trials(Tiles()), values, 19, Tiles(), same, Nature()).distance is None
    unknown = [TrialRecord(i, r.code, "o", 1, 0.0) for i, r in enumerate(trials(Tiles()))]  # of a study without priors
    assert all(math.isnan(r.log_prior) for r in unknown)
    assert told(judge(unknown, values, 19, Tiles(), same, Nature()))["percentile"] is None


def test_under_noise_the_front_is_of_codes_and_what_is_expected_of_them():
    codes = Tiles().space.sample(60, np.random.default_rng(0))
    rng, records = np.random.default_rng(1), []
    for i in range(240):  # each four times, of which all differences are noise
        code = codes[i % 60]
        values = (1.0 + rng.normal(),)
        record = TrialRecord(i, code, "o", 1, 0.0, Tiles().log_prior(code[None])[0], attempt=1)
        records.append(record.answered(Result(i, 1, values), 0.0))
    values = np.array([record.value for record in records])
    best = int(values.argmax())
    nature = Nature(values=1 + rng.normal(size=300), log_priors=Tiles().log_prior(codes)[np.arange(300) % 60])
    found = judge(records, values, best, Tiles(), None, nature, noisy=True)
    assert found.best == best % 60
    assert max(found.front) < 60, "each code once"
    assert (found.values[:60].std(), np.isnan(found.values[60:]).all()) == (pytest.approx(0.1, abs=0.15), True)
    assert found.values[:60].std() < np.array([values[i::60].mean() for i in range(60)]).std()
    assert found.natural_values.std() < 0.5 < nature.values.std()
    assert [one["value"] for one in told(found)["front"]] == found.values[list(found.front)].tolist()
    chosen = Confirmed(7, codes[7], 5.0, 0.1, 9)
    confirmed = judge(records, values, 7, Tiles(), None, nature, noisy=True, confirmed=chosen)
    assert confirmed.values[confirmed.best] == 5.0 == told(confirmed)["front"][0]["value"]
