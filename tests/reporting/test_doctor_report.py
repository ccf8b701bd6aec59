"""The doctor's page: whole in one file, every name escaped, and with pictures that show the place."""

import io
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.doctor.diagnosis import diagnose
from fullconv.data.doctor.findings import Place, finding
from fullconv.data.faults.planting import FAULTS, plant
from fullconv.data.masks import read_mask
from fullconv.data.pictures import read_picture
from fullconv.data.scenes import SCENES, write_scenes
from fullconv.drawing import WRONG
from fullconv.reporting.doctor_pictures import draw_place
from fullconv.reporting.doctor_report import DRAWN, write_doctor_report

CODES = [code for code, fault in FAULTS.items() if not fault.alone]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_scenes(
        tmp_path_factory.mktemp("faulty") / "<b>scenes</b>", 3 * len(CODES), 4, size_hw=(64, 80)
    )
    plant(folder, CODES)
    return folder


@pytest.fixture(scope="module")
def page(faulty: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "check.html"
    assert write_doctor_report(path, diagnose(faulty)) == path
    return path.read_text("utf-8")


def test_the_page_needs_nothing_but_itself(page: str):
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert all(
        address.startswith("data:image/jpeg;base64,") for address in re.findall(r'src="([^"]*)"', page)
    )


def test_names_are_escaped(page: str):
    assert "<b>scenes" not in page
    assert "&lt;b&gt;scenes&lt;/b&gt;" in page


def test_every_finding_is_there(page: str, faulty: Path):
    diagnosis = diagnose(faulty)
    assert set(CODES) <= {each.code for each in diagnosis.findings}
    for each in diagnosis.findings:
        assert f"<code>{each.code}</code>" in page
        assert each.remedy.replace("'", "&#39;") in page
    assert page.count('<section class="finding') == len(diagnosis.findings)


def test_drawings_are_pictures(page: str):
    drawings = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)" width="(\d+)" height="(\d+)"', page)
    assert len(drawings) > len(CODES)
    for content, width, height in drawings:
        assert Image.open(io.BytesIO(b64decode(content))).size == (int(width), int(height))


def test_the_faulty_place_is_red(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 4, 3, size_hw=(64, 80))
    plant(folder, ["mask-ids"])
    diagnosis = diagnose(folder)
    (found,) = [each for each in diagnosis.findings if each.code == "mask-ids"]
    drawn = draw_place(found, found.places[0], diagnosis)
    assert drawn is not None
    image = np.asarray(Image.open(io.BytesIO(b64decode(drawn.address.partition(",")[2]))), int)
    red = np.abs(image - WRONG).max(2) < 40
    right = image.shape[1] - image.shape[0] * 80 // 64  # where the mask begins
    scale = image.shape[0] / 64
    assert (
        red[int(7 * scale) : int(13 * scale), right + int(9 * scale) : right + int(27 * scale)].mean() > 0.9
    )
    assert not red[:, :right].any()
    assert red.mean() < 0.1


def test_few_files_are_drawn_and_all_are_listed(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 7, 3, size_hw=(64, 64))
    for path in folder.rglob("SegmentationClass/train*.png"):
        path.write_bytes(b"")
    page = write_doctor_report(tmp_path / "check.html", diagnose(folder)).read_text()
    assert page.count("<img ") == DRAWN
    assert page.count("<li>") == 7


def test_a_clean_set_and_one_that_is_none(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 6, 4, size_hw=(64, 80))
    assert "Nothing was found" in write_doctor_report(tmp_path / "a.html", diagnose(folder)).read_text()
    page = write_doctor_report(tmp_path / "b.html", diagnose(tmp_path / "nothing")).read_text()
    assert "the data set cannot be opened" in page


def test_what_a_model_says_is_drawn(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 4, 3, size_hw=(64, 80))
    diagnosis = diagnose(folder)
    sample = diagnosis.examined[0].sample
    said = finding("model-disagrees", [Place(str(sample.mask), "said so")])

    def paint(each):
        truth = read_mask(each.sample.mask, SCENES)
        return truth, np.zeros_like(truth), (truth > 0) & (truth < 255)

    drawn = draw_place(said, said.places[0], diagnosis, paint)
    assert drawn is not None
    assert drawn.width > 3 * drawn.height  # picture, mask, prediction, errors
    assert draw_place(said, said.places[0], diagnosis, lambda each: None) is None
    assert read_picture(Path(str(sample.picture))).shape == (64, 80, 3)


def test_files_that_vanish_in_between_are_no_error(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 12, 3, size_hw=(64, 80))
    plant(folder, ["mask-ids", "contradictory", "mask-turned"])
    diagnosis = diagnose(folder)
    for path in folder.rglob("*.*g"):
        path.unlink()
    page = write_doctor_report(tmp_path / "check.html", diagnosis).read_text()
    assert "mask-ids" in page
