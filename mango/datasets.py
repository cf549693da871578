"""CIFAR-10 and folders like it, read from a place that the user names; nothing is ever downloaded.

Three forms are read: torchvision's ``cifar-10-batches-py`` (the folder itself or its parent), parquet files with an
image and a label column (the Hugging Face hub's form; ``train`` or ``test`` in the file's name), and folders of images
``train/<class>/*.png``, ``test/<class>/*.png``.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.errors import DataError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


class Images(NamedTuple):
    """Images ``(n, 3, 32, 32)`` as uint8 and their labels ``(n,)`` as int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_cifar10(folder: str | Path, split: str) -> Images:
    """Reads one split of CIFAR-10, or of any image set in one of the three forms.

    Args:
        folder: where the data lie.
        split: ``"train"`` or ``"test"``.

    Raises:
        DataError: the folder holds none of the three forms, or one of them is damaged.
    """
    if split not in ("train", "test"):
        raise DataError(f"split must be 'train' or 'test', not {split!r}")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"the data folder {root} does not exist; name one that holds CIFAR-10")
    batches = next((p for p in (root, root / "cifar-10-batches-py") if (p / "test_batch").is_file()), None)
    parquet = sorted(p for p in root.rglob("*.parquet") if split in p.name)
    try:
        if batches is not None:
            return _from_batches(batches, split)
        if parquet:
            return _from_parquet(parquet)
        if (root / split).is_dir():
            return _from_images(root / split)
    except DataError:
        raise
    except Exception as error:  # any decoder may fail on damaged bytes; the user needs the file, not the decoder
        raise DataError(f"the {split} images in {root} cannot be read: {error}") from error
    raise DataError(
        f"{root} holds no {split} images: expected cifar-10-batches-py, a parquet file with {split!r} in its name, "
        f"or a folder {split}/<class>/*.png"
    )


def _from_batches(folder: Path, split: str) -> Images:
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    images, labels = [], []
    for name in names:
        with (folder / name).open("rb") as file:
            batch = _ArrayUnpickler(file, encoding="bytes").load()
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, SIDE, SIDE))
        labels.append(np.asarray(batch[b"labels"], np.int64))
        if labels[-1].shape != (len(images[-1]),):
            raise DataError(f"{folder / name} holds {len(images[-1])} images but labels of shape {labels[-1].shape}")
    return Images(np.concatenate(images), np.concatenate(labels))


def _from_parquet(files: list[Path]) -> Images:
    from pyarrow import parquet

    images: list[NDArray[np.uint8]] = []
    labels: list[NDArray[np.int64]] = []
    for file in files:
        table = parquet.read_table(file)
        column = next((c for c in ("img", "image") if c in table.column_names), None)
        if column is None or "label" not in table.column_names:
            raise DataError(f"{file} needs columns 'img' (or 'image') and 'label'; it has {table.column_names}")
        images.extend(_decode(io.BytesIO(row["bytes"])) for row in table[column].to_pylist())
        labels.append(table["label"].to_numpy().astype(np.int64))
    return Images(np.stack(images), np.concatenate(labels))


def _from_images(folder: Path) -> Images:
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    images, labels = [], []
    for label, name in enumerate(classes):
        for file in sorted((folder / name).iterdir()):
            if file.suffix.lower() in _IMAGE_SUFFIXES:
                images.append(_decode(file))
                labels.append(label)
    if not images:
        raise DataError(f"{folder} holds no images: expected {folder}/<class>/*.png")
    return Images(np.stack(images), np.asarray(labels, np.int64))


def _decode(file: Any) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.uint8)
    if pixels.shape != (SIDE, SIDE, 3):
        raise DataError(f"images must be {SIDE} x {SIDE} pixels; one is {pixels.shape[1]} x {pixels.shape[0]}")
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays and plain containers only, so that a batch file cannot run code."""

    _ADMITTED = frozenset(
        (f"{package}{module}", name)
        for package in ("numpy", "numpy.core", "numpy._core")  # as numpy 1 and numpy 2 write them
        for module, names in {
            "": ("dtype", "ndarray"),
            ".multiarray": ("_reconstruct",),
            ".numeric": ("_frombuffer",),
        }.items()
        for name in names
    )

    def find_class(self, module: str, name: str) -> Any:
        """The named class or function, where arrays are made of it.

        Raises:
            DataError: anything else.
        """
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if (module, name) not in self._ADMITTED:
            raise DataError(f"a CIFAR-10 batch asks for {module}.{name}; only numpy arrays are admitted")
        return super().find_class(module, name)


def _latin1(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them into old pickles; codecs of other names might run code."""
    if encoding != "latin1":
        raise DataError(f"a CIFAR-10 batch holds bytes encoded as {encoding!r}; only 'latin1' is admitted")
    return text.encode("latin1")
