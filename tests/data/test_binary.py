"""Black and white masks are two classes where nothing else can be meant."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.binary import BINARY, are_binary
from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.data.sources import Member
from fullconv.errors import DataError
from fullconv.labels import LabelSet

SHAPE = np.zeros((40, 60), np.uint8)
SHAPE[8:30, 10:45] = 255


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("kind", ["grey", "rgb", "jpeg", "rgb jpeg", "1 bit"])
def test_black_and_white_in_all_its_forms(tmp_path: Path, kind):
    picture = Image.fromarray(SHAPE)
    if "rgb" in kind:
        picture = picture.convert("RGB")
    if kind == "1 bit":
        picture = picture.convert("1")
    path = tmp_path / ("a.jpg" if "jpeg" in kind else "a.png")
    picture.save(path)
    is_two_valued = kind != "1 bit"  # Pillow gives 1-bit pictures as 0 and 1
    assert are_binary([path]) is is_two_valued


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (SHAPE // 255, "ids 0 and 1"),
        (np.where(SHAPE == 0, 3, 255).astype(np.uint8), "another id"),
        (SHAPE * 0, "no white"),
        (SHAPE * 0 + 255, "no black"),
        (np.stack([SHAPE, SHAPE, SHAPE * 0], axis=2), "yellow"),
    ],
)
def test_what_is_not_black_and_white(tmp_path: Path, pixels, why):
    path = save(tmp_path / "a.png", pixels)
    assert not are_binary([path]), why
    if "no " not in why:
        assert not are_binary([save(tmp_path / "b.png", SHAPE), path]), why


def test_palettes_jpegs_with_greys_and_no_masks_at_all(tmp_path: Path):
    image = Image.fromarray(SHAPE)
    image.putpalette([0, 0, 0] * 255 + [255, 255, 255])
    image.save(tmp_path / "palette.png")
    assert not are_binary([tmp_path / "palette.png"])
    ramp = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    assert not are_binary([save(tmp_path / "ramp.jpg", ramp)])
    assert not are_binary([])


def test_black_in_one_mask_and_white_in_another(tmp_path: Path):
    assert are_binary([save(tmp_path / "a.png", SHAPE * 0), save(tmp_path / "b.png", SHAPE * 0 + 255)])
    path = save(tmp_path / "c.png", SHAPE)
    assert are_binary([Member(path, "c", 0, path.stat().st_size)])


def make(root: Path, masks: dict[str, np.ndarray], suffix: str = "png") -> Path:
    for name, mask in masks.items():
        save(root / "images" / f"{name}.jpg", np.zeros((40, 60, 3), np.uint8))
        save(root / "masks" / f"{name}.{suffix}", mask)
    return root


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_folder_of_them_has_two_classes(tmp_path: Path, suffix):
    dataset = open_dataset(make(tmp_path, {"a": SHAPE, "b": SHAPE * 0}, suffix))
    assert dataset.labels == BINARY
    assert dataset.labels.names == ("background", "foreground")
    assert dataset.layout.endswith("; black and white masks are background and foreground")
    by_name = {sample.name: sample for samples in dataset.splits.values() for sample in samples}
    _, label_map = read_sample(by_name["a"], dataset.labels)
    wrong = label_map != (SHAPE == 255)
    assert wrong.mean() < (0.02 if suffix == "jpg" else 1e-9)  # a JPEG may lose a pixel at the outline


def test_one_mask_with_another_id_and_nothing_changes(tmp_path: Path):
    other = np.where(SHAPE == 255, 255, 2).astype(np.uint8)
    dataset = open_dataset(make(tmp_path, {"a": SHAPE, "b": other}))
    assert dataset.labels == LabelSet.from_names(["class_0", "class_1", "class_2"])
    by_name = {sample.name: sample for samples in dataset.splits.values() for sample in samples}
    assert set(np.unique(read_sample(by_name["a"], dataset.labels)[1])) == {0, 255}  # void, as everywhere


def test_dataset_yaml_and_lists_of_classes_go_first(tmp_path: Path):
    make(tmp_path, {"a": SHAPE, "b": SHAPE})
    (tmp_path / "classes.txt").write_text("nothing\nbag\n")
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("nothing", "bag")
    sample = dataset.split("train")[0]
    assert set(np.unique(read_sample(sample, dataset.labels)[1])) == {0, 255}
    (tmp_path / "dataset.yaml").write_text("classes: [bag, nothing]\nmasks: {dark: nothing, light: bag}\n")
    dataset = open_dataset(tmp_path)
    sample = dataset.split("train")[0]
    assert (read_sample(sample, dataset.labels)[1] == (SHAPE == 0)).all()
    (tmp_path / "dataset.yaml").write_text("layout: flat\n")
    (tmp_path / "classes.txt").unlink()
    assert open_dataset(tmp_path).labels == BINARY
    assert open_dataset(tmp_path).split("train")[0].shades is not None


def test_all_black_is_still_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="its masks hold id 0 alone"):
        open_dataset(make(tmp_path, {"a": SHAPE * 0, "b": SHAPE * 0}))
