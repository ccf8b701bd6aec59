"""Pictures packed in other files and masks that are drawn read like files of their own."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullconv.data.check import check_samples
from fullconv.data.masks import read_mask
from fullconv.data.pictures import picture_size, read_picture
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.sources import MAX_BYTES, MaskSource, Member, Packed, signature
from fullconv.errors import DataError, PictureError
from fullconv.labels import Head, LabelSet
from fullconv.training.facts import digest_of, facts_of

BAG = LabelSet.from_names(["background", "bag"])


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pack(path: Path, *contents: bytes) -> list[Member]:
    """The contents one after the other, with something between that is none of them."""
    members, data = [], b""
    for number, content in enumerate(contents):
        data += b"\xff" * 7
        members.append(Member(path, f"{number}.png", len(data), len(content)))
        data += content
    path.write_bytes(data + b"\xff" * 7)
    return members


@dataclass(frozen=True)
class Stripe:
    """A mask whose left columns are class 1."""

    path: Path
    columns: int

    def __str__(self) -> str:
        return f"{self.path}#{self.columns}"

    def read(self, labels: LabelSet) -> np.ndarray:
        label_map = np.zeros((3, 4), np.uint8)
        label_map[:, : self.columns] = labels.names.index("bag")
        return label_map


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)


def test_members_read_as_files_do(tmp_path: Path, pixels):
    ids = np.array([[0, 1, 255, 0]] * 3, np.uint8)
    picture, mask = pack(tmp_path / "shard.bin", encoded(pixels), encoded(ids))
    assert isinstance(picture, Packed)
    assert not isinstance(picture, MaskSource)
    assert not isinstance(tmp_path, Packed)
    assert (read_picture(picture) == pixels).all()
    assert picture_size(mask) == (3, 4)
    assert (read_mask(mask, BAG) == ids).all()
    read = read_sample(Sample("a", picture, mask), BAG)
    assert (read[0] == pixels).all()
    assert (read[1] == ids).all()
    assert pickle.loads(pickle.dumps(picture)) == picture  # noqa: S301 as worker processes do
    assert str(picture) == f"{tmp_path}/shard.bin:0.png"


def test_members_that_cannot_be_read_are_named(tmp_path: Path, pixels):
    (picture,) = pack(tmp_path / "shard.bin", encoded(pixels))
    cut = Member(picture.path, "cut.png", picture.offset, 10_000)
    with pytest.raises(PictureError) as caught:
        read_picture(cut)
    length = picture.path.stat().st_size - picture.offset
    assert str(caught.value) == (
        f"{picture.path}:cut.png: ends after {length} of 10,000 bytes; expected the whole of it; copy shard.bin again"
    )
    with pytest.raises(
        PictureError, match=r"shard\.bin:long\.png: has 1,073,741,825 bytes; at most 1,073,741,824 are"
    ):
        read_picture(Member(picture.path, "long.png", 0, MAX_BYTES + 1))
    with pytest.raises(PictureError, match=r"shard\.bin:1\.png: is not a picture; expected JPEG, PNG"):
        read_picture(Member(picture.path, "1.png", 0, 12))
    with pytest.raises(PictureError, match=r"gone\.bin:0\.png: no such file; check the path"):
        read_picture(Member(tmp_path / "gone.bin", "0.png", 0, 12))


def test_drawn_masks(tmp_path: Path, pixels):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    sample = Sample("a", path, Stripe(path, 1), head_masks=(Stripe(path, 2),))
    assert (read_sample(sample, BAG)[1] == [[1, 0, 0, 0]] * 3).all()
    label_maps = read_heads(sample, BAG, (Head("other", LabelSet.from_names(["x", "y", "bag"])),))[1]
    assert (label_maps == [[[1, 0, 0, 0]] * 3, [[2, 2, 0, 0]] * 3]).all()
    assert check_samples([sample], BAG).pixels_per_class == (9, 3)
    Image.new("RGB", (5, 3)).save(tmp_path / "b.png")
    with pytest.raises(
        DataError, match=r"a\.png#1: is 3 x 4 \(height x width\), its picture 3 x 5; expected equal"
    ):
        read_sample(Sample("b", tmp_path / "b.png", Stripe(path, 1)), BAG)


def test_what_a_run_depends_on_is_the_same_wherever_the_files_lie(tmp_path: Path, pixels):
    def samples(folder: Path, *more: bytes) -> list[Sample]:
        folder.mkdir()
        (picture,) = pack(folder / "shard.bin", encoded(pixels), *more)[:1]
        return [Sample("a", picture, Stripe(folder / "shard.bin", 1))]

    first, moved = samples(tmp_path / "x"), samples(tmp_path / "y")
    assert digest_of(first) == digest_of(moved) != digest_of(samples(tmp_path / "z", b"longer"))
    assert facts_of(first, torch.device("cpu"), 1)["data"] == f"1 samples, {digest_of(first)}"
    assert (
        signature(tmp_path / "x" / "shard.bin")
        == f"shard.bin {(tmp_path / 'x' / 'shard.bin').stat().st_size}"
    )
