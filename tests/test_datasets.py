"""Reading CIFAR-10 in its three forms from tiny made-up folders; damaged and malicious files."""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from mango.datasets import CIFAR10_CLASSES, Images, load_cifar10
from mango.errors import DataError


def made_up(n: int, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    return Images(rng.integers(0, 256, (n, 3, 32, 32), np.uint8), np.sort(rng.integers(0, 3, n)))


TRAIN, TEST = made_up(10, 0), made_up(4, 1)


def png(image: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "PNG")
    return file.getvalue()


def python2_batch(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> bytes:
    """The opcodes of the published files: Python 2, protocol 2, numpy 1."""
    rows = images.reshape(len(images), -1)

    def whole(number: int) -> bytes:
        return b"J" + struct.pack("<i", number)

    def text(raw: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(raw)) + raw

    empty = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + whole(0) + b"\x85" + text(b"b") + b"\x87R"
    )
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + whole(0) + whole(1) + b"\x87R"
    dtype += b"(" + whole(3) + text(b"|") + b"NNN" + whole(-1) + whole(-1) + whole(0) + b"tb"
    shape = whole(rows.shape[0]) + whole(rows.shape[1]) + b"\x86"
    data = empty + b"(" + whole(1) + shape + dtype + b"\x89" + text(rows.tobytes()) + b"tb"
    listed = b"](" + b"".join(whole(label) for label in labels.tolist()) + b"e"
    return b"\x80\x02}(" + text(b"data") + data + text(b"labels") + listed + b"u."


def write_batches(root: Path) -> None:
    for part in range(5):
        rows = slice(2 * part, 2 * part + 2)
        (root / f"data_batch_{part + 1}").write_bytes(python2_batch(TRAIN.images[rows], TRAIN.labels[rows]))
    (root / "test_batch").write_bytes(python2_batch(*TEST))


def write_parquet(root: Path) -> None:
    for split, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        rows = [{"bytes": png(image), "path": None} for image in images]
        table = pa.table({"img": pa.array(rows), "label": pa.array(labels.tolist(), pa.int64())})
        parquet.write_table(table, root / f"{split}-00000-of-00001.parquet")


def write_images(root: Path) -> None:
    for split, (images, labels) in {"train": TRAIN, "test": TEST}.items():
        for name in range(3):
            (root / split / f"class{name}").mkdir(parents=True)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            (root / split / f"class{label}" / f"{number:03}.png").write_bytes(png(image))
        (root / split / "class0" / "notes.txt").write_text("not an image")


FORMS: dict[str, Callable[[Path], None]] = {"batches": write_batches, "parquet": write_parquet, "images": write_images}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_three_forms_give_the_same_images(form: str, split: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path)
    wanted = {"train": TRAIN, "test": TEST}[split]
    images, labels = load_cifar10(tmp_path, split)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert np.array_equal(images, wanted.images)
    assert np.array_equal(labels, wanted.labels)


def test_the_parent_of_the_batches_will_do(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    write_batches(tmp_path / "cifar-10-batches-py")
    assert np.array_equal(load_cifar10(str(tmp_path), "test").images, TEST.images)


def test_parquet_may_lie_deeper_in_several_files_with_an_image_column(tmp_path: Path) -> None:
    (tmp_path / "plain_text").mkdir()
    for part in range(2):
        rows = [{"bytes": png(image)} for image in TEST.images[2 * part : 2 * part + 2]]
        table = pa.table({"image": rows, "label": TEST.labels[2 * part : 2 * part + 2]})
        parquet.write_table(table, tmp_path / "plain_text" / f"test-{part}.parquet")
    images, labels = load_cifar10(tmp_path, "test")
    assert np.array_equal(images, TEST.images)
    assert np.array_equal(labels, TEST.labels)


@pytest.mark.parametrize("protocol", range(6))
def test_batches_pickled_anew_are_read(protocol: int, tmp_path: Path) -> None:
    write_batches(tmp_path)
    batch = {b"data": TEST.images.reshape(4, -1), b"labels": TEST.labels.tolist()}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    assert np.array_equal(load_cifar10(tmp_path, "test").images, TEST.images)


class Attack:
    """Pickled, a call of `os.system`."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("place", ["whole", "inside"])
def test_a_malicious_batch_runs_nothing(place: str, tmp_path: Path) -> None:
    write_batches(tmp_path)
    attack: Any = Attack(f"touch {tmp_path / 'attacked'}")
    content = attack if place == "whole" else {b"data": TEST.images.reshape(4, -1), b"labels": attack}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"asks for \w+\.system; only numpy arrays are admitted"):
        load_cifar10(tmp_path, "test")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "name",
    ["builtins.eval", "builtins.getattr", "numpy.load", "numpy.fromfile", "numpy.testing.assert_", "codecs.open"],
)
def test_no_other_function_is_admitted_even_from_numpy(name: str, tmp_path: Path) -> None:
    write_batches(tmp_path)
    module, _, function = name.rpartition(".")
    (tmp_path / "test_batch").write_bytes(f"c{module}\n{function}\n.".encode())
    with pytest.raises(DataError, match=f"asks for {module}.{function}"):
        load_cifar10(tmp_path, "test")


def test_damaged_files_name_the_folder(tmp_path: Path) -> None:
    for form, write in FORMS.items():
        root = tmp_path / form
        root.mkdir()
        write(root)
        file = next(
            p
            for p in sorted(root.rglob("*"))
            if p.is_file() and "test" in str(p.relative_to(root)) and p.suffix != ".txt"
        )
        file.write_bytes(file.read_bytes()[:60])
        with pytest.raises(DataError, match=f"the test images in .*{form} cannot be read"):
            load_cifar10(root, "test")


def test_batches_of_another_content_are_refused(tmp_path: Path) -> None:
    write_batches(tmp_path)
    for content in (
        {b"labels": [0]},
        {b"data": TEST.images.reshape(4, -1)[:, :-1], b"labels": TEST.labels.tolist()},
        {b"data": TEST.images.reshape(4, -1), b"labels": [0, 1]},
        ["data"],
    ):
        (tmp_path / "test_batch").write_bytes(pickle.dumps(content))
        with pytest.raises(DataError):
            load_cifar10(tmp_path, "test")


def test_a_missing_batch_is_an_error(tmp_path: Path) -> None:
    write_batches(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3"):
        load_cifar10(tmp_path, "train")


def test_parquet_without_the_columns_says_what_it_needs(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"pixels": [1], "label": [0]}), tmp_path / "test.parquet")
    with pytest.raises(
        DataError, match=r"needs columns 'img' \(or 'image'\) and 'label'; it has \['pixels', 'label'\]"
    ):
        load_cifar10(tmp_path, "test")


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test" / "cat").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "test" / "cat" / "a.png")
    with pytest.raises(DataError, match="images must be 32 x 32 pixels; one is 40 x 30"):
        load_cifar10(tmp_path, "test")


def test_folders_that_hold_nothing_say_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing does not exist; name one that holds CIFAR-10"):
        load_cifar10(tmp_path / "missing", "test")
    with pytest.raises(DataError, match="holds no test images: expected cifar-10-batches-py, a parquet file"):
        load_cifar10(tmp_path, "test")
    (tmp_path / "test" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no images: expected"):
        load_cifar10(tmp_path, "test")


def test_there_are_two_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="split must be 'train' or 'test', not 'validation'"):
        load_cifar10(tmp_path, "validation")


def test_the_ten_classes() -> None:
    assert len(CIFAR10_CLASSES) == 10
    assert CIFAR10_CLASSES[3] == "cat"
