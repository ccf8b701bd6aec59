"""Layouts are recognised, pictures and masks are paired, and what is missing is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.masks import write_mask
from fullconv.errors import DataError, UnknownNameError
from fullconv.labels import VOC, LabelSet

BAG = LabelSet.from_names(["background", "bag"])


def add_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3)).save(path)


def add_pair(picture: Path, mask: Path) -> None:
    add_picture(picture)
    write_mask(mask, np.array([[0, 1, 255, 0]] * 3, np.uint8), BAG)


def make_twin_trees(
    root: Path, splits: dict[str, list[str]], pictures: str = "images", masks: str = "masks"
) -> Path:
    for split, names in splits.items():
        for name in names:
            add_pair(root / pictures / split / f"{name}.jpg", root / masks / split / f"{name}.png")
    return root


def make_flat(root: Path, names: list[str]) -> Path:
    return make_twin_trees(root, {".": names})


def make_voc(root: Path, lists: dict[str, list[str]]) -> Path:
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split, names in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            add_pair(root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png")
    return root


def names_of(dataset: Dataset) -> dict[str, list[str]]:
    return {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()}


@pytest.mark.parametrize("place", [".", "VOC2012", "VOCdevkit/VOC2012"])
def test_vocdevkit_from_each_of_its_levels(tmp_path: Path, place):
    root = make_voc(tmp_path / place, {"train": ["b", "a"], "val": ["c"], "train_more": ["a"]})
    dataset = open_dataset(tmp_path)
    assert names_of(dataset) == {
        "train": ["b", "a"],
        "train_more": ["a"],
        "val": ["c"],
    }  # in the lists' order
    assert dataset.labels == VOC
    assert dataset.layout == "VOCdevkit with lists train.txt, train_more.txt, val.txt"
    assert dataset.root.resolve() == root.resolve()
    assert dataset.split("val")[0].mask == dataset.root / "SegmentationClass" / "c.png"


def test_the_newest_year_of_a_vocdevkit(tmp_path: Path):
    make_voc(tmp_path / "VOCdevkit/VOC2007", {"train": ["old"]})
    make_voc(tmp_path / "VOCdevkit/VOC2012", {"train": ["new"]})
    assert names_of(open_dataset(tmp_path)) == {"train": ["new"]}
    assert names_of(open_dataset(tmp_path / "VOCdevkit/VOC2007")) == {"train": ["old"]}


@pytest.mark.parametrize("where", [".", "VOCdevkit/VOC2012"])
def test_other_classes_in_the_voc_layout(tmp_path: Path, where):
    make_voc(tmp_path / "VOCdevkit/VOC2012", {"train": ["a"]})
    (tmp_path / where / "classes.txt").write_text("background\nbag\n")
    assert open_dataset(tmp_path).labels == BAG
    (tmp_path / where / "dataset.yaml").write_text("name: bags\nclasses: [nothing, handbag]\n")
    assert open_dataset(tmp_path).labels.names == ("nothing", "handbag")  # dataset.yaml goes first
    assert open_dataset(tmp_path).name == "bags"


def test_a_voc_test_list_without_masks_is_left_out(tmp_path: Path):
    make_voc(tmp_path, {"train": ["a"]})
    add_picture(tmp_path / "JPEGImages" / "t.jpg")
    (tmp_path / "ImageSets/Segmentation/test.txt").write_text("t\n")
    assert names_of(open_dataset(tmp_path)) == {"train": ["a"]}


@pytest.mark.parametrize("pictures", ["images", "img", "pictures"])
@pytest.mark.parametrize("masks", ["masks", "labels", "annotations"])
def test_twin_trees(tmp_path: Path, pictures, masks):
    make_twin_trees(tmp_path, {"train": ["b", "a"], "val": ["a"]}, pictures, masks)
    dataset = open_dataset(tmp_path)
    assert names_of(dataset) == {"train": ["a", "b"], "val": ["a"]}
    assert dataset.layout == f"twin trees {pictures}/ + {masks}/"
    assert dataset.split("train")[0].picture == tmp_path / pictures / "train" / "a.jpg"
    assert dataset.split("val")[0].picture == tmp_path / pictures / "val" / "a.jpg"
    assert dataset.labels.names == ("class_0", "class_1")
    assert dataset.name == tmp_path.name


def test_long_names_of_splits(tmp_path: Path):
    make_twin_trees(tmp_path, {"training": ["a"], "validation": ["b"]})
    assert names_of(open_dataset(tmp_path)) == {"train": ["a"], "val": ["b"]}


def test_twin_trees_with_lists(tmp_path: Path):
    """As camvid: a list gives order and choice; a tree without a list is a split too."""
    make_twin_trees(tmp_path, {"train": ["a", "b", "c"], "val": ["a"], "test": ["t"]})
    (tmp_path / "train.txt").write_text("c\na\n")
    (tmp_path / "val.txt").write_text("a\n")
    (tmp_path / "README.txt").write_text("not a list\n")
    dataset = open_dataset(tmp_path)
    assert names_of(dataset) == {"train": ["c", "a"], "val": ["a"], "test": ["t"]}
    assert dataset.split("val")[0].mask == tmp_path / "masks" / "val" / "a.png"
    assert dataset.layout == "twin trees images/ + masks/ with lists train.txt, val.txt"


def test_flat_with_lists(tmp_path: Path):
    make_flat(tmp_path, ["a", "b.1", "c", "unused"])
    (tmp_path / "train.txt").write_bytes("\ufeffb.1\r\n\r\na.jpg\r\na\r\n".encode())
    (tmp_path / "val.txt").write_text("c")
    dataset = open_dataset(tmp_path)
    assert names_of(dataset) == {"train": ["b.1", "a"], "val": ["c"]}
    assert dataset.layout == "flat images/ + masks/ with lists train.txt, val.txt"


def test_flat_without_lists_is_split_by_name(tmp_path: Path):
    make_flat(tmp_path, [f"n{i}" for i in range(20)])
    dataset = open_dataset(tmp_path)
    assert names_of(dataset)["val"] == ["n2", "n8"]  # the two lowest SHA-256, as `sha256sum` says
    assert len(dataset.split("train")) == 18
    assert (
        dataset.layout == "flat images/ + masks/ without lists; val is a tenth, chosen by the names' SHA-256"
    )


def test_two_pictures_make_one_of_each_split_and_one_makes_train(tmp_path: Path):
    make_flat(tmp_path / "two", ["a", "b"])
    assert {split: len(names) for split, names in names_of(open_dataset(tmp_path / "two")).items()} == {
        "train": 1,
        "val": 1,
    }
    make_flat(tmp_path / "one", ["a"])
    assert names_of(open_dataset(tmp_path / "one")) == {"train": ["a"]}


def test_files_that_are_no_pictures_are_passed_over(tmp_path: Path):
    make_flat(tmp_path, ["a", "b"])
    for name in ("Thumbs.db", ".hidden.jpg", "notes.txt"):
        (tmp_path / "images" / name).write_bytes(b"x")
    assert sum(map(len, names_of(open_dataset(tmp_path)).values())) == 2


def fault(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_folder_and_a_file_and_nothing_in_it(tmp_path: Path):
    assert (
        fault(tmp_path / "none")
        == f"{tmp_path / 'none'}: no such folder; expected a data set; check the path"
    )
    (tmp_path / "data.zip").write_bytes(b"")
    assert fault(tmp_path / "data.zip").endswith(
        "data.zip: is a file; expected a data set's folder; unpack it first"
    )
    (tmp_path / "empty").mkdir()
    assert fault(tmp_path / "empty").startswith(
        f"{tmp_path / 'empty'}: is empty; expected VOCdevkit (JPEGImages/, "
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert (
        fault(tmp_path)
        == f"{tmp_path / 'images'}: holds no pictures; expected files such as NAME.jpg or NAME.png"
    )


def test_an_unknown_layout_names_those_that_are_looked_for(tmp_path: Path):
    add_picture(tmp_path / "a.jpg")
    for number in range(6):
        (tmp_path / f"folder_{number}").mkdir()
    assert fault(tmp_path).startswith(
        f"{tmp_path}: layout not recognised; it holds a.jpg, folder_0/, folder_1/, folder_2/, folder_3/ and 2 more; expected "
        "VOCdevkit (JPEGImages/, SegmentationClass/, ImageSets/Segmentation/), images/train/ + masks/train/, or images/ + "
        "masks/ with train.txt and val.txt, or another of "
    )
    assert fault(tmp_path).endswith("; docs/data.md shows them; NAME:PATH says which it is")
    add_picture(tmp_path / "images" / "a.jpg")
    assert f"layout not recognised; {tmp_path / 'images'} is there, but masks/ is not; expected" in fault(
        tmp_path
    )


@pytest.mark.parametrize("by", ["argument", "path", "description"])
def test_a_layout_by_name(tmp_path: Path, by):
    make_twin_trees(tmp_path, {"train": ["a"]})
    (tmp_path / "dataset.yaml").write_text("classes: [nothing, bag]\n")
    if by == "description":
        (tmp_path / "dataset.yaml").write_text("layout: flat\nclasses: [nothing, bag]\n")
        dataset = open_dataset(tmp_path)
    else:
        dataset = open_dataset(tmp_path, "flat") if by == "argument" else open_dataset(f"flat:{tmp_path}")
    assert dataset.layout_name == "flat"
    assert dataset.labels.names == ("nothing", "bag")
    assert names_of(dataset) == {"train": ["a"]}


def test_a_folder_whose_name_has_a_colon_is_itself(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_twin_trees(Path("flat:x"), {"train": ["in flat:x"]})
    make_twin_trees(Path("x"), {"train": ["in x"]})
    assert names_of(open_dataset("flat:x")) == {"train": ["in flat:x"]}
    assert names_of(open_dataset("twin:x")) == {"train": ["in x"]}
    monkeypatch.chdir(tmp_path / "x")
    assert names_of(open_dataset("twin:")) == {"train": ["in x"]}
    assert fault(Path("C:/nowhere")).startswith("C:/nowhere: no such folder")


def test_a_layout_that_is_not_there(tmp_path: Path):
    with pytest.raises(
        UnknownNameError, match=r"unknown layout 'vox'; did you mean 'voc'\? \(layouts: .*flat"
    ):
        open_dataset(f"vox:{tmp_path}")
    assert fault(Path(f"voc:{tmp_path}")).startswith(
        f"{tmp_path}: is no such layout; expected VOCdevkit (JPEG"
    )


def test_a_description_with_a_layout_may_leave_the_classes_to_it(tmp_path: Path):
    make_twin_trees(tmp_path, {"train": ["a"]})
    (tmp_path / "dataset.yaml").write_text("layout: twin\nname: bags\n")
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.labels.names) == ("bags", ("class_0", "class_1"))


def test_missing_masks(tmp_path: Path):
    make_twin_trees(tmp_path, {"train": ["a", "b", "c"]})
    (tmp_path / "masks/train/b.png").unlink()
    assert fault(tmp_path) == (
        f"{tmp_path}/images/train/b.jpg: its mask is missing; expected {tmp_path}/masks/train/b.png; split 'train' lacks "
        "1 of 3 masks; add them or take these pictures out of the split"
    )
    (tmp_path / "masks/train/c.png").unlink()
    assert "split 'train' lacks 2 of 3 masks, also of c; add" in fault(tmp_path)
    (tmp_path / "masks/train/a.png").unlink()
    assert fault(tmp_path) == (
        f"{tmp_path}/masks: none of 3 pictures has a mask there; for {tmp_path}/images/train/a.jpg expected "
        f"{tmp_path}/masks/train/a.png; give each mask its picture's name"
    )


def test_lists_that_name_what_is_not_there(tmp_path: Path):
    make_flat(tmp_path, ["a"])
    (tmp_path / "train.txt").write_text("a\nx\ny\n")
    assert fault(tmp_path) == (
        f"{tmp_path}/train.txt: 2 of its 3 names have no picture; for 'x' expected {tmp_path}/images/x.jpg or .png; "
        "add them or drop the names"
    )
    (tmp_path / "train.txt").write_text("\n")
    assert fault(tmp_path).endswith(
        "train.txt: holds no names; expected one picture's name a line; fill it or remove it"
    )
    (tmp_path / "train.txt").write_bytes(b"stra\xdfe\n")
    assert "train.txt: cannot be read (" in fault(tmp_path)


def test_two_files_with_one_name(tmp_path: Path):
    make_flat(tmp_path, ["a"])
    add_picture(tmp_path / "images" / "a.png")
    assert (
        fault(tmp_path)
        == f"{tmp_path}/images/a.png: has the same name as a.jpg; expected one file for each; remove one"
    )


def test_a_split_that_is_not_there(tmp_path: Path):
    dataset = open_dataset(make_twin_trees(tmp_path, {"train": ["a", "b"], "val": ["a"]}))
    with pytest.raises(DataError) as caught:
        dataset.split("test")
    assert (
        str(caught.value)
        == f"{tmp_path}: got split 'test', expected one that has masks: 'train' (2), 'val' (1)"
    )


@pytest.mark.parametrize(
    ("folder", "sizes", "num_classes", "ignored"),
    [
        ("camvid", {"train": 367, "val": 101}, 11, (11,)),
        ("bag", {"train": 470, "val": 52, "test": 10}, 2, ()),
        ("voc2012-animals", {"train": 437, "val": 445, "trainval": 882}, 21, ()),
        ("voc2012-animals-sbd", {"train_sbd": 2694}, 21, ()),
    ],
)
def test_real_data_sets(real_data: Path, folder, sizes, num_classes, ignored):
    dataset = open_dataset(real_data / folder)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == sizes
    assert dataset.labels.num_classes == num_classes
    assert dataset.labels.ignore_ids == ignored
    for samples in dataset.splits.values():
        assert samples[0].picture.stem == samples[0].mask.stem == samples[0].name
        assert samples[0].picture.is_file()
        assert samples[0].mask.is_file()


def make_voc_of_sizes(root: Path, sizes_hw: dict[str, list[tuple[int, int]]]) -> Path:
    for split, sizes in sizes_hw.items():
        names = [f"{split}_{number}" for number in range(len(sizes))]
        make_voc(root / split, {split: names})  # for its list
        for name, (height, width) in zip(names, sizes, strict=True):
            for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.new("L", (width, height)).save(root / folder / f"{name}.{suffix}")
        (root / "ImageSets" / "Segmentation").mkdir(parents=True, exist_ok=True)
        lists = root / split / "ImageSets" / "Segmentation"
        (lists / f"{split}.txt").rename(root / "ImageSets" / "Segmentation" / f"{split}.txt")
    return root


def test_only_pictures_that_are_large_enough(tmp_path: Path):
    """The textbook's rule: at least as high and at least as wide as the crop, both ends included."""
    sizes = {
        "train": [(320, 480), (319, 480), (320, 479), (480, 320), (500, 500)],
        "val": [(375, 500), (333, 200)],
    }
    dataset = open_dataset(make_voc_of_sizes(tmp_path, sizes))
    large = dataset.at_least((320, 480))
    assert names_of(large) == {"train": ["train_0", "train_4"], "val": ["val_0"]}
    assert large.layout == (
        "VOCdevkit with lists train.txt, val.txt; pictures of at least 320 x 480 (height x width): train 2 of 5, val 1 of 2"
    )
    assert large.least_hw == (320, 480)
    assert (large.labels, large.root) == (dataset.labels, dataset.root)
    assert sum(map(len, dataset.splits.values())) == 7  # the data set itself stays
    assert names_of(dataset.at_least((1, 1))) == names_of(dataset)


def test_least_sizes_that_leave_nothing(tmp_path: Path):
    dataset = open_dataset(make_voc_of_sizes(tmp_path, {"train": [(60, 90)], "val": [(50, 90)]}))
    with pytest.raises(DataError) as caught:
        dataset.at_least((60, 90)).split("val")
    assert str(caught.value) == (
        f"{tmp_path}: got split 'val', expected one that has masks and pictures of at least 60 x 90 (height x width): "
        "'train' (1)"
    )
    with pytest.raises(DataError) as caught:
        dataset.at_least((61, 90))
    assert str(caught.value) == (
        f"{tmp_path}: got pictures of at least 61 x 90 (height x width): train 0 of 1, val 0 of 1; expected some; lower "
        "the least size"
    )


def test_sizes_are_those_shown(tmp_path: Path):
    make_flat(tmp_path, ["a"])
    tags = Image.Exif()
    tags[274] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.jpg", exif=tags)
    dataset = open_dataset(tmp_path)
    assert len(dataset.at_least((30, 20)).split("train")) == 1
    with pytest.raises(DataError, match="train 0 of 1; expected some"):
        dataset.at_least((20, 30))


def test_the_textbooks_filter_on_the_animals_of_voc(real_data: Path):
    """The textbook keeps 1,114 of 1,464 and 1,078 of 1,449 pictures of the whole VOC 2012."""
    large = open_dataset(real_data / "voc2012-animals").at_least((320, 480))
    assert {split: len(samples) for split, samples in large.splits.items()} == {
        "train": 327,
        "val": 335,
        "trainval": 662,
    }
