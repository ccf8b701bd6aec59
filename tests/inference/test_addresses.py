"""Pictures in tar shards and object stores: what is found, and that it is labelled as files are."""

import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.errors import DataError, InputError, PictureError
from fullconv.inference.addresses import Stored, stem_of
from fullconv.inference.folder import find_sources, predict_files
from fullconv.inference.segmenter import Segmenter

KINDS = {"mask", "json"}


class Tiny(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(3, 4, 3, padding=1)
        self.num_classes = 4


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(Tiny(), precision="fp32")


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    files = [tmp_path / "pictures" / f"{name}.png" for name in ("a", "b", "deep/c")]
    for index, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (9, 12, 3), np.uint8)).save(file)
    return files


@pytest.fixture
def shard(pictures, tmp_path) -> Path:
    """Each picture with a mask beside it."""
    path = tmp_path / "shards" / "train-000000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for file in pictures:
            tar.add(file, f"x/{file.stem}.image.png")
            tar.add(file, f"x/{file.stem}.mask.png")
    return path


def masks(out: Path) -> dict[str, np.ndarray]:
    return {file.name: np.asarray(Image.open(file)) for file in sorted((out / "masks").iterdir())}


@pytest.mark.parametrize(
    ("made", "count"),
    [
        (lambda folder, shard: f"file://{folder}", 3),
        (lambda folder, shard: f"file://{folder}/*.png", 2),
        (lambda folder, shard: f"file://{folder}/*/[a-c].png", 1),
        (lambda folder, shard: f"file://{folder}/a.png", 1),
        (lambda folder, shard: f"file://{shard}", 3),
        (lambda folder, shard: f"file://{shard.parent}/", 3),
        (lambda folder, shard: str(shard), 3),
        (lambda folder, shard: str(shard.parent), 3),
    ],
)
def test_the_same_masks_from_wherever_they_come(segmenter, pictures, shard, tmp_path, made, count):
    pytest.importorskip("pyarrow")
    list(predict_files(segmenter, pictures, tmp_path / "files", KINDS))
    want = masks(tmp_path / "files")
    sources = find_sources([made(tmp_path / "pictures", shard)])
    assert len(sources) == count
    run = partial(predict_files, segmenter, sources, tmp_path / "out", KINDS, model_id="m")
    records = list(run())
    assert [record["source"] for record in records] == [str(source) for source in sources]
    got = masks(tmp_path / "out")
    assert len(got) == count
    for name, mask in got.items():
        np.testing.assert_array_equal(mask, want[name])
    assert all("skipped" in record for record in run()), "an interrupted run goes on"


def test_sources_are_taken_once_and_in_order(pictures, shard, tmp_path):
    sources = find_sources([str(shard), str(tmp_path / "pictures"), str(shard)])
    assert [str(source) for source in sources[3:]] == [str(picture) for picture in pictures]
    assert [str(source) for source in sources[:3]] == [f"{shard}:x/{name}.image.png" for name in "abc"]


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("file:///{folder}/none", InputError, "holds no picture"),
        ("nothing://bucket/a.png", InputError, "expected an address like s3://"),
        ("{folder}/empty.tar", InputError, "holds no picture"),
        ("{folder}/bad.tar", DataError, "is no tar, or damaged"),
        ("file://{folder}/bad.tar", DataError, "is no tar, or damaged"),
    ],
)
def test_what_holds_nothing_is_said_in_one_line(tmp_path, source, error, message):
    pytest.importorskip("pyarrow")
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    (tmp_path / "bad.tar").write_bytes(b"bad" * 500)
    with pytest.raises(error, match=message) as caught:
        find_sources([source.format(folder=tmp_path)])
    assert "\n" not in str(caught.value)


def test_a_stored_picture_that_has_gone_is_an_error_of_its_own(segmenter, pictures, tmp_path):
    pytest.importorskip("pyarrow")
    sources = find_sources([f"file://{tmp_path}/pictures"])
    pictures[1].unlink()
    pictures[2].write_bytes(pictures[2].read_bytes()[:-20])
    records = list(predict_files(segmenter, sources, tmp_path / "out", KINDS))
    assert ["error" in record for record in records] == [False, True, True]
    assert "expected what it had when it was listed" in records[2]["error"]
    with pytest.raises(PictureError, match="at most"):
        Stored("s3://b/", "b/a.png", 0, 2**31).open()


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("a.png", "a"),
        ("x/a%2Fb.png", "b"),
        ("%2E%2E.png", "picture"),
        ("a%00b.jpg", "a_b"),
        ("é 1.jpg", "é 1"),
    ],
)
def test_names_lead_nowhere(member, name):
    assert stem_of(Stored("s3://b/", "b/0.tar", 0, 1, 512, member)) == name
