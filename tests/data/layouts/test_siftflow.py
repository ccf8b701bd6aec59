"""SIFT Flow: MAT-files from 1, void 0, a second head, and a test list with Windows' slashes."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import siftflow
from fullconv.data.samples import read_heads, read_sample
from fullconv.errors import DataError

SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
SEMANTIC = np.array([[0, 1, 2], [3, 3, 0]], np.uint8)
GEOMETRIC = np.array([[-1, 1, 2], [3, 3, 0]], np.int16)
NAMES = np.array(["awning", "balcony", "bird"], object)


def make(root: Path, names: list[str], tests: list[str], scenes: str = SCENES, geometry: bool = True) -> Path:
    for name in names:
        paths = [root / folder / scenes / name for folder in ("Images", "SemanticLabels", "GeoLabels")]
        for path in paths[: 3 if geometry else 2]:
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2)).save(f"{paths[0]}.jpg")
        scipy.io.savemat(f"{paths[1]}.mat", {"S": SEMANTIC, "names": NAMES[:, None], "metaData": {"a": 1}})
        if geometry:
            scipy.io.savemat(f"{paths[2]}.mat", {"S": GEOMETRIC, "names": NAMES[:, None]})
    (root / "TestSet1.txt").write_bytes("".join(f"{SCENES}\\{name}.jpg\r\n" for name in tests).encode())
    return root


@pytest.mark.parametrize("place", [".", "SiftFlowDataset"])
@pytest.mark.parametrize("scenes", [SCENES, "."])
def test_both_heads(tmp_path: Path, place, scenes):
    make(tmp_path / place, ["coast_n1", "coast_n2", "forest_n3"], ["coast_n2"], scenes)
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "siftflow"
    assert dataset.layout == "SIFT Flow with 3 classes and geometric ones; 0 is void"
    assert dataset.labels.names == ("awning", "balcony", "bird")
    assert [(head.name, head.labels.names) for head in dataset.heads] == [
        ("geometric", ("sky", "horizontal", "vertical"))
    ]
    assert [sample.name for sample in dataset.split("train")] == ["coast_n1", "forest_n3"]
    (sample,) = dataset.split("val")
    label_maps = read_heads(sample, dataset.labels, dataset.heads)[1]
    assert label_maps.tolist() == [[[255, 0, 1], [2, 2, 255]], [[255, 0, 1], [2, 2, 255]]]


def test_without_geometry_and_without_a_test_list(tmp_path: Path):
    make(tmp_path, ["a", "highway_bost181", "street_urb506"], [], geometry=False)
    (tmp_path / "TestSet1.txt").unlink()
    dataset = open_dataset(tmp_path)
    assert dataset.heads == ()
    assert [sample.name for sample in dataset.split("train")] == ["a"]  # the other two have no labels
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[255, 0, 1], [2, 2, 255]]


def test_what_is_missing_is_named(tmp_path: Path):
    make(tmp_path, ["a", "b"], [])
    (tmp_path / "GeoLabels" / SCENES / "b.mat").unlink()
    with pytest.raises(
        DataError, match=r"b\.jpg: its geometric mask is missing; expected .*GeoLabels.*b\.mat; 1 of 2 are"
    ):
        open_dataset(tmp_path)
    (tmp_path / "SemanticLabels" / SCENES / "b.mat").unlink()
    with pytest.raises(
        DataError, match=r"b\.jpg: its mask is missing; expected .*SemanticLabels.*b\.mat; split 'train'"
    ):
        open_dataset(tmp_path)
    scipy.io.savemat(tmp_path / "SemanticLabels" / SCENES / "c.mat", {"S": SEMANTIC})
    (tmp_path / "SemanticLabels" / SCENES / "a.mat").unlink()
    with pytest.raises(DataError, match="no picture in Images/ has a mask in SemanticLabels/"):
        open_dataset(tmp_path)
    (tmp_path / "SemanticLabels" / SCENES / "c.mat").unlink()
    with pytest.raises(DataError, match="SemanticLabels: holds no masks; expected spatial_envelope"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not SIFT Flow; expected Images/"):
        siftflow.read(tmp_path / "Images")


def test_names_that_are_given_twice(tmp_path: Path):
    make(tmp_path, ["a"], [])
    path = tmp_path / "SemanticLabels" / SCENES / "a.mat"
    scipy.io.savemat(path, {"S": SEMANTIC, "names": np.array(["x", "x"], object)})
    with pytest.raises(DataError, match=r"a\.mat: class name x is given twice"):
        open_dataset(tmp_path)
