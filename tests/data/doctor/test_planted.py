"""Each planted fault is found, named and, where that is possible, mended; nothing else is told of as a fault."""

import hashlib
import shutil
from pathlib import Path

import pytest

from fullconv.data.doctor.diagnosis import Diagnosis, diagnose
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.doctor.mending import mend
from fullconv.data.faults.planting import FAULTS, plant, write_faulty_scenes
from fullconv.data.scenes import write_scenes

PARTLY = {"mask-colours"}
"""One of its three masks has a colour that nobody can guess."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("clean") / "scenes", 12, 5, size_hw=(72, 96))


@pytest.fixture
def planted(clean: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "scenes"
    shutil.copytree(clean, folder)
    plant(folder, [request.param])
    return folder


def serious(diagnosis: Diagnosis) -> set[str]:
    return {each.code for each in diagnosis.findings if each.severity != "information"}


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_nothing_is_wrong_with_the_clean_scenes(clean: Path):
    assert diagnose(clean).findings == ()


def test_every_kind_can_be_planted_but_what_needs_a_model():
    assert [*FAULTS, "model-disagrees"] == list(KINDS)


@pytest.mark.parametrize("planted", FAULTS, indirect=True)
def test_a_planted_fault_is_found_and_mended(planted: Path, request: pytest.FixtureRequest):
    code = request.node.callspec.params["planted"]
    kind, before = KINDS[code], content(planted)
    diagnosis = diagnose(planted)
    found = {each.code: each for each in diagnosis.findings}
    assert code in found
    assert serious(diagnosis) == ({code} if kind.severity != "information" else set())
    assert found[code].severity == kind.severity
    assert found[code].fixable == bool(kind.mend)
    assert diagnosis.ruins == (kind.severity == "ruins")
    if not kind.mend:
        return
    mended = mend(diagnosis, planted.with_name("mended"), [code] if kind.asked else [])
    assert mended.done[code]
    left = {each.code: each for each in diagnose(mended.folder).findings}
    assert content(planted) == before
    if code in PARTLY:
        assert len(left[code].places) == len(found[code].places) - len(mended.done[code])
        assert not left[code].fixable
    else:
        assert set(mended.done[code]) == {place.file for place in found[code].places}
        assert code not in left


def test_what_is_mended_only_when_asked_for_stays_otherwise(clean: Path, tmp_path: Path):
    folder = tmp_path / "scenes"
    shutil.copytree(clean, folder)
    plant(folder, ["near-same-across", "same-across"])
    mended = mend(diagnose(folder), tmp_path / "mended")
    assert list(mended.done) == ["same-across"]
    assert serious(diagnose(mended.folder)) == {"near-same-across"}


def test_all_faults_together_are_all_found(tmp_path: Path):
    folder = write_faulty_scenes(tmp_path / "scenes", ["all"], 140, 6, size_hw=(72, 96))
    codes = [code for code, fault in FAULTS.items() if not fault.alone]
    diagnosis = diagnose(folder)
    assert set(codes) <= {each.code for each in diagnosis.findings}
    asked = [code for code in codes if KINDS[code].asked]
    left = diagnose(mend(diagnosis, tmp_path / "mended", asked).folder)
    unmended = {code for code in codes if not KINDS[code].mend} | PARTLY
    assert serious(left) <= unmended
