"""Damaged annotation files end in one line of one type of error, or are read; never in anything else."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.convert import convert
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.masks import read_mask, write_mask
from fullconv.data.samples import Sample
from fullconv.data.writing.items import Style
from fullconv.errors import InputError
from fullconv.labels import LabelSet

pytest.importorskip("pycocotools")
pytest.importorskip("defusedxml")

FORMS = ("coco", "coco-polygons", "labelme", "labelme-polygons", "cvat", "labelstudio", "yolo", "supervisely")
SUFFIXES = (".json", ".xml", ".txt", ".yaml")
VALUE = re.compile(rb'-?\d+(\.\d+)?|"[^"]*"|null|true|false')
VALUES = (
    b"0", b"-1", b"7", b"0.5", b"100000", b"65536", b"2147483648", b"4294967295", b"123456789012", b"1e308", b"-1e308", b"1e-308",
    b"1e999", b"NaN", b"null", b"true", b'""', b'"x"', b'"../../x"', b"[]", b"{}", b"[[1]]", b"9" * 5000,
)  # fmt: skip
PIECES = (
    b"[",
    b"{",
    b"]",
    b"}",
    b'"',
    b"<",
    b">",
    b"&",
    b"&x;",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"[" * 2000,
    b"<a>" * 2000,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Dataset:
    root, labels, samples = (
        tmp_path_factory.mktemp("old"),
        LabelSet.from_names(["background", "cat", "dög"]),
        [],
    )
    rng = np.random.default_rng(0)
    for name in "ab":
        Image.new("RGB", (23, 17)).save(root / f"{name}.jpg")
        label_map = np.kron(rng.choice([0, 1, 2, 255], (5, 6)), np.ones((4, 4)))[:17, :23].astype(np.uint8)
        write_mask(root / f"{name}.png", label_map, labels)
        samples.append(Sample(name, root / f"{name}.jpg", root / f"{name}.png"))
    return Dataset("d", root, "", labels, {"train": (samples[0],), "val": (samples[1],)})


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to five changes: bytes, pieces, values, an early end."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, kind = rng.randrange(len(changed) + 1), rng.randrange(10)
        if kind == 0 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif kind == 1:
            del changed[at : at + rng.choice([1, 2, 8, 100])]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.choice([1, 4, 30]))
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            start = rng.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + rng.choice([5, 50, 500])]
        elif kind == 5:
            changed[at:at] = rng.choice(PIECES)
        elif found := list(VALUE.finditer(bytes(changed))):
            value = rng.choice(found)
            changed[value.start() : value.end()] = rng.choice(VALUES)
    return bytes(changed)


def read_all(folder: Path, layout: str | None) -> None:
    dataset = open_dataset(folder, layout)
    for samples in dataset.splits.values():
        for sample in samples:
            label_map = read_mask(sample.mask, dataset.labels)
            assert label_map.shape == (17, 23)
            assert set(np.unique(label_map).tolist()) <= {*range(dataset.labels.num_classes), 255}


def fuzz(folder: Path, small: Dataset, way: str, times: int, seed: int) -> int:
    """Damages a file, reads the set, mends the file, so many times; how often the set was read nevertheless."""
    form, _, polygons = way.partition("-")
    convert(small, folder / "new", form, Style(polygons=bool(polygons) or form == "yolo"))
    (folder / "new" / "dataset.yaml").unlink()
    files = sorted(path for path in (folder / "new").rglob("*") if path.suffix in SUFFIXES)
    rng, complaints = random.Random(f"{way} {seed}"), []
    for _ in range(times):
        path = rng.choice(files)
        whole = path.read_bytes()
        path.write_bytes(mutated(whole, rng))
        try:
            read_all(folder / "new", form if rng.random() < 0.7 else None)
        except InputError as error:
            complaints.append(str(error))
        path.write_bytes(whole)
    assert all(20 < len(text) < 900 and "\n" not in text for text in complaints)
    return times - len(complaints)


@pytest.mark.parametrize("way", FORMS)
def test_damaged_files(tmp_path: Path, small: Dataset, way):
    assert 0 < fuzz(tmp_path, small, way, times=60, seed=0) < 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("way", FORMS)
def test_many_damaged_files(tmp_path: Path, small: Dataset, way, seed):
    assert fuzz(tmp_path, small, way, times=100, seed=seed) < 100
