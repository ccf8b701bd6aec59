"""What layouts of shapes have in common."""

from pathlib import Path

import pytest
from PIL import Image

from fullconv.data.layouts.drawn import drawn_size, in_splits, pictures_in
from fullconv.data.samples import Sample
from fullconv.errors import DataError, PictureError


def test_the_size_of_a_turned_picture(tmp_path: Path):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (6, 4)).save(path, exif=exif)
    assert drawn_size((6, 4), path, "x") == drawn_size(None, path, "x") == (6, 4)
    with pytest.raises(
        DataError, match="swapped, as when the shapes were drawn without the picture's EXIF orientation"
    ):
        drawn_size((4, 6), path, "x")
    path.write_bytes(b"")
    with pytest.raises(PictureError, match="is empty"):
        drawn_size((4, 6), path, "x")


def test_samples_without_split_beside_others_are_a_split_of_their_own():
    samples = [Sample(name, Path(f"{name}.jpg"), Path(f"{name}.png")) for name in "abc"]
    note, splits = in_splits([("train", samples[0]), (None, samples[1]), ("val", samples[2])], "x")
    assert note == ""
    assert {split: [sample.name for sample in many] for split, many in splits.items()} == {
        "train": ["a"],
        "default": ["b"],
        "val": ["c"],
    }


def test_the_same_name_twice():
    one, other = Sample("a", Path("1.jpg"), Path("1.png")), Sample("a", Path("2.jpg"), Path("2.png"))
    with pytest.raises(
        DataError,
        match=r"^2.png: picture 'a' is there twice, before in 1.png; expected each once; remove one",
    ):
        in_splits([("train", one), ("train", other)], "x")
    assert len(in_splits([("train", one), ("val", other)], "x")[1]) == 2
    with pytest.raises(DataError, match=r"^x: holds no labelled picture; expected some"):
        in_splits([], "x")


def test_pictures_of_a_folder(tmp_path: Path):
    for name in (
        "b.jpg",
        "a/c.PNG",
        "a/.hidden.jpg",
        ".git/d.jpg",
        "a/notes.txt",
        "a/b/e.jpg",
        "a/b/c/f.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in pictures_in(tmp_path)]
    assert found == ["a/b/e.jpg", "a/c.PNG", "b.jpg"]
    with pytest.raises(DataError, match="cannot be read"):
        list(pictures_in(tmp_path / "no"))
