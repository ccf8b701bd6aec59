"""Where a model is sure that a mask is wrong, against counting by hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from fullconv.data.doctor.diagnosis import Diagnosis, diagnose
from fullconv.data.masks import write_mask
from fullconv.inference.disagreement import contradicted, disagreement_findings, disagreements
from fullconv.inference.segmenter import Segmenter
from fullconv.labels import LabelSet

LABELS = LabelSet.from_names(["ground", "tree", "tent"])


@dataclass
class Said:
    label_map: np.ndarray
    sure: np.ndarray

    def confidence(self) -> np.ndarray:
        return self.sure


class Model:
    """Says what the picture's red channel says, as surely as its green one is bright."""

    def predict(self, picture: np.ndarray, extra: np.ndarray | None = None) -> Said:
        return Said(picture[..., 0] // 100, picture[..., 1] / 255)


MODEL = cast(Segmenter, Model())


@pytest.fixture
def diagnosis(tmp_path: Path) -> Diagnosis:
    """Masks of 0 with a column of void; pictures that say 1 in 40 % of the pixels, 2 in 10 %, one of them unsure."""
    (tmp_path / "images").mkdir()
    for index, sure in enumerate((255, 200, 255, 0)):
        picture = np.zeros((10, 11, 3), np.uint8)
        picture[..., 1] = sure
        picture[:4, :, 0], picture[4:5, :, 0] = 100, 200
        if index == 2:
            picture[1:, :, 0] = 0  # only one row is contradicted
        Image.fromarray(picture).save(tmp_path / "images" / f"{index}.png")
        mask = np.zeros((10, 11), np.uint8)
        mask[:, 0] = 255
        if index == 3:
            mask[:] = 1
        write_mask(tmp_path / "masks" / f"{index}.png", mask, LABELS)
    (tmp_path / "dataset.yaml").write_text("classes: [ground, tree, tent]\n")
    for split, name in (("train", "0\n1\n2"), ("val", "3")):
        (tmp_path / f"{split}.txt").write_text(name)
    return diagnose(tmp_path)


def test_confident_disagreement_is_counted_and_ranked(diagnosis: Diagnosis):
    seen = []
    found = disagreements(
        MODEL, diagnosis.examined, LABELS, progress=lambda done, total: seen.append((done, total))
    )
    assert [(one.index, one.share, one.truth, one.predicted, one.of_pair) for one in found] == [
        (0, 0.5, 0, 1, 0.4),
        (2, 0.1, 0, 1, 0.1),
    ]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_other_ids(diagnosis: Diagnosis):
    """The model's class 1 is the data set's class 0."""
    ids = np.array([1, 0, 2], np.uint8)
    said = contradicted(MODEL, diagnosis.examined[0], LABELS, ids)
    assert said is not None
    truth, predicted, against = said
    assert predicted[0, 1] == 0
    assert not against[:4].any()
    assert against[4:, 1:].all()
    assert not against[:, 0].any()  # void
    assert truth.shape == against.shape == (10, 11)


def test_the_finding(diagnosis: Diagnosis):
    found = disagreements(MODEL, diagnosis.examined, LABELS)
    (told,) = disagreement_findings(found, diagnosis.examined, LABELS)
    assert (told.code, told.severity, told.fixable) == ("model-disagrees", "information", False)
    assert told.places[0].note == "50.0% contradicted, most of it ground taken for tree (40.0%)"
    assert told.title.endswith("2 of 4, at least 1% of the pixels with a score of 0.9 or more")
    assert disagreement_findings([], diagnosis.examined, LABELS) == []


def test_faulty_samples_are_left_out(diagnosis: Diagnosis):
    for path in diagnosis.survey.folder.glob("masks/*.png"):
        path.write_bytes(b"")
    assert disagreements(MODEL, diagnosis.examined, LABELS) == []  # gone since
    again = diagnose(diagnosis.survey.folder)
    assert disagreements(MODEL, again.examined, LABELS) == []


def test_a_built_in_model_finds_a_wrong_mask(real_data: Path, tmp_path: Path):
    """Road and sky changed places in one mask of camvid."""
    from fullconv.inference.segmenter import load

    names = ["0016E5_07959", "0016E5_08045", "0016E5_08117"]
    for folder, end in (("images", "jpg"), ("masks", "png")):
        (tmp_path / folder).mkdir()
        for name in names:
            content = (real_data / "camvid" / folder / "val" / f"{name}.{end}").read_bytes()
            (tmp_path / folder / f"{name}.{end}").write_bytes(content)
    (tmp_path / "dataset.yaml").write_bytes((real_data / "camvid" / "dataset.yaml").read_bytes())
    path = tmp_path / "masks" / f"{names[1]}.png"
    swapped = np.array(Image.open(path))
    swapped[np.isin(swapped, (0, 3))] ^= 3
    Image.fromarray(swapped).save(path)
    diagnosis = diagnose(tmp_path)
    assert diagnosis.survey.dataset is not None
    first, *others = disagreements(load("camvid"), diagnosis.examined, diagnosis.survey.dataset.labels)
    assert diagnosis.examined[first.index].sample.name == names[1]
    assert first.share > 0.25
    assert {first.truth, first.predicted} == {0, 3}
    assert all(other.share < 0.15 for other in others)
