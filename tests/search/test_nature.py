import numpy as np
import pytest
from PIL import Image

from mango.errors import DataError, InputError
from mango.search.nature import RECONSTRUCTED, SHOWN, compare, load_gallery
from mango.search.settings import Settings
from tests.fakes import Known, Noisy, Silent, Tiles, Unit


class Large(Tiles):
    stimulus_shape = (3, 32, 32)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("zebra", "ant"):
        (tmp_path / "test" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "test" / name / f"{i}.png")
    load_gallery.cache_clear()
    return str(tmp_path)


def settings(**changed):
    return Settings(generator="g", target="t", workers=0, **changed)


def test_the_users_images_are_all_shown(images):
    told = []
    nature = compare(settings(data=images), Large(), Known(), report=lambda *at: told.append(at))
    gallery = load_gallery(images)
    values = Known().respond(gallery.decode(np.arange(12)[:, None]))[0]
    assert nature.maximum == values.max() == nature.shown[0].value
    assert nature.source == "12 natural images"
    assert nature.kind == "natural images"
    assert told == [(0, 12), (10, 12), (12, 12)]
    assert len(nature.shown) == SHOWN
    assert [shown.value for shown in nature.shown] == sorted(values, reverse=True)[:SHOWN]
    assert gallery.names[0] == "ant 0"
    assert gallery.names[11] == "zebra 11"
    best = int(nature.shown[0].caption.split()[1])
    assert (nature.shown[0].stimulus == gallery.images[best].astype(np.float32) / np.float32(255)).all()


def test_natural_stimuli_have_their_values_beside_their_log_priors(images):
    class Encodes(Large):
        def encode(self, stimuli):
            return np.rint(stimuli[:, 0, :4, :4].reshape(-1, 16) * 7).astype(np.int64)

    nature = compare(settings(data=images), Encodes(), Known())
    stimuli = load_gallery(images).decode(np.arange(12)[:, None])
    assert nature.values.tolist() == Known().respond(stimuli)[0].tolist()
    assert nature.log_priors.tolist() == Encodes().log_prior(Encodes().encode(stimuli)).tolist()
    assert len(compare(settings(data=images), Large(), Known()).log_priors) == 0, "without an encoder images have none"
    ours = compare(settings(), Tiles(), Unit())
    assert len(ours.values) == len(ours.log_priors) == RECONSTRUCTED
    assert ours.values.max() == ours.maximum


def test_images_of_another_size_are_refused(images):
    with pytest.raises(InputError, match=r"\(3, 32, 32\).*\(3, 8, 8\).*leave --data out"):
        compare(settings(data=images), Tiles(), Unit())


def test_a_folder_without_images_is_refused(tmp_path):
    load_gallery.cache_clear()
    with pytest.raises(DataError, match="holds no test images"):
        compare(settings(data=str(tmp_path)), Tiles(), Unit())


def test_reconstructions_stand_in_for_images():
    nature = compare(settings(), Tiles(), Unit())
    assert nature.kind == "reconstructed natural images"
    assert nature.source == f"{RECONSTRUCTED} reconstructed natural images"
    assert nature.maximum == nature.shown[0].value
    assert compare(settings(), Tiles(), Unit()).shown[3].value == nature.shown[3].value


def test_every_seed_is_compared_with_the_same_stimuli_and_noise():
    ours, theirs = (compare(settings(seed=seed), Tiles(), Noisy()) for seed in (0, 7))
    assert [(one.value, one.caption) for one in ours.shown] == [(one.value, one.caption) for one in theirs.shown]
    assert ours.p999 == theirs.p999


def test_what_the_target_knows_comes_before_reconstructions():
    nature = compare(settings(), Tiles(), Known())
    assert (nature.maximum, nature.p999, nature.source) == (0.4, 0.35, "10,000 test images")
    assert len(nature.shown) == SHOWN


def test_noise_is_averaged_over_the_repeats():
    once, often = (compare(settings(repeats=n), Tiles(), Noisy()).shown[0].value for n in (1, 9))
    true = Unit().respond(compare(settings(repeats=9), Tiles(), Noisy()).shown[0].stimulus[None])[0][0]
    assert abs(often - true) < 0.1
    assert once != often


def test_where_nothing_responds_nothing_is_best():
    assert compare(settings(), Tiles(), Silent()).shown == []


def test_without_anything_natural_there_is_no_comparison():
    class Bare:
        stimulus_shape = (3,)

    nature = compare(settings(), Bare(), Unit())
    assert (list(nature.shown), nature.maximum) == ([], None)


def test_under_noise_the_natural_maximum_is_chosen_by_fresh_presentations():
    true = max(Unit().respond(Tiles().decode(Tiles().natural(2000, np.random.default_rng(3))))[0])
    told = []
    lucky, chosen = (
        compare(settings(repeats=2, confirm=n), Tiles(), Noisy(), report=lambda *at: told.append(at)) for n in (0, 160)
    )
    assert lucky.source == f"{RECONSTRUCTED} reconstructed natural images, luck included"
    assert chosen.source == f"{RECONSTRUCTED} reconstructed natural images, by 44 fresh presentations"
    assert chosen.maximum == chosen.shown[0].value < lucky.maximum == lucky.shown[0].value
    shown = Unit().respond(np.stack([one.stimulus for one in chosen.shown]))[0]
    assert abs(chosen.maximum - shown[0]) < 0.03
    assert chosen.maximum < true + 0.03
    assert "mean of 44 fresh presentations" in chosen.shown[0].caption
    assert (chosen.p999, lucky.p999, len(chosen.shown)) == (None, None, SHOWN)
    assert told[-1] == (RECONSTRUCTED + 80, RECONSTRUCTED + 80)
    again = compare(settings(repeats=2, confirm=160), Tiles(), Noisy())
    assert [(one.value, one.caption) for one in again.shown] == [(one.value, one.caption) for one in chosen.shown]


def test_answers_that_are_lost_leave_no_natural_maximum():
    class Late(Noisy):
        """Answers the first showing of each alone."""

        def respond(self, stimuli, seeds=None):
            self.shown = getattr(self, "shown", 0) + len(stimuli)
            return super().respond(stimuli, seeds) + (np.nan if self.shown > RECONSTRUCTED else 0)

    nature = compare(settings(confirm=40, chunk=50), Tiles(), Late())
    assert nature.source.endswith("luck included")
