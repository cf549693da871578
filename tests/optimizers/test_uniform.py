from __future__ import annotations

import numpy as np
import pytest

from mango.errors import InputError
from mango.optimizers.natural import Natural
from mango.optimizers.uniform import Uniform
from mango.space import SearchSpace


def book(levels: int = 60, *, embedded: bool = True) -> SearchSpace:
    embedding = np.random.default_rng(0).standard_normal((levels, 4)) * [3, 2, 1, 0.1] if embedded else None
    return SearchSpace.codebook(9, levels, embedding=embedding, layout=(3, 3))


def answers(space: SearchSpace) -> np.ndarray:
    """Smooth in the embedding, with one peak."""
    return np.exp(-np.square(space.embedding - space.embedding[17])[:, :2].sum(1) / 4)


@pytest.mark.parametrize("embedded", [True, False])
def test_each_label_is_asked_once_at_all_places(embedded):
    space = book(embedded=embedded)
    optimizer, labels = Uniform(space, seed=0), []
    rng = np.random.default_rng(1)
    while len((proposals := optimizer.ask(7)).ids):
        assert (proposals.codes == proposals.codes[:, :1]).all()
        labels += proposals.codes[:, 0].tolist()
        optimizer.tell(proposals.ids, rng.random(len(proposals.ids)))
    assert sorted(labels) == list(range(60))


def test_the_model_finds_the_peak_sooner_than_chance():
    space = book(500)
    values, needed = answers(space), []
    for seed in range(5):
        optimizer, found = Uniform(space, seed=seed), 0
        while True:
            proposals = optimizer.ask(1)
            found += 1
            value = values[proposals.codes[:, 0]]
            optimizer.tell(proposals.ids, value)
            if value[0] > 0.9 * values.max():
                break
        needed.append(found)
    assert np.median(needed) < 40
    assert (values > 0.9 * values.max()).sum() < 6  # by chance it takes about 500 / 6


def test_only_the_order_of_the_values_matters():
    space = book()
    asked = []
    for values in (answers(space), np.argsort(np.argsort(answers(space))) - 1e6):
        optimizer, labels = Uniform(space, seed=0), []
        for _ in range(6):
            proposals = optimizer.ask(5)
            labels += proposals.codes[:, 0].tolist()
            optimizer.tell(proposals.ids, values[proposals.codes[:, 0]])
        asked.append(labels)
    assert asked[0] == asked[1]


def test_uniform_codes_of_others_count_and_others_do_not():
    space = book()
    optimizer = Uniform(space, seed=0)
    optimizer.observe(np.array([[5] * 9, [5] * 8 + [6]]), [1.0, 9.0])
    asked = optimizer.ask(60).codes[:, 0]
    assert sorted(asked) == [label for label in range(60) if label != 5]
    optimizer.observe(np.full((1, 9), 5), [np.nan])  # lost elsewhere; what is known stays
    assert optimizer._values[5] == 1.0


@pytest.mark.parametrize(
    ("space", "chart"), [(SearchSpace.box(3, 0, 1), None), (book(), "frequencies:4"), (SearchSpace.box(9, 0, 1), None)]
)
def test_spaces_that_have_no_uniform_codes(space, chart):
    with pytest.raises(InputError, match="share one set"):
        Uniform(space, seed=0, chart=chart)


def test_natural_codes_come_once_each():
    space = book()
    natural = space.sample(20, np.random.default_rng(3))
    optimizer = Natural(space, seed=0, natural=natural)
    codes = np.concatenate([optimizer.ask(6).codes for _ in range(5)])
    assert sorted(map(tuple, codes)) == sorted(map(tuple, natural))
    with pytest.raises(InputError, match="natural codes"):
        Natural(space, seed=0)
