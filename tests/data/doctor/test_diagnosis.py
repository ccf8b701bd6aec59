"""The whole diagnosis: of real sets, of damaged files, and of what only all masks together tell."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.doctor import refusals
from fullconv.data.doctor.diagnosis import Diagnosis, diagnose
from fullconv.data.doctor.examination import header_of
from fullconv.data.masks import write_mask
from fullconv.data.scenes import SCENES, draw_scene, write_scenes
from fullconv.labels import LabelSet

FOUR = LabelSet.from_names(["ground", "tree", "tent", "crate"])


def write_set(folder: Path, label_maps: list[np.ndarray], yaml: str) -> Path:
    """A flat set of small scenes with these masks, as they are."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index, label_map in enumerate(label_maps):
        Image.fromarray(draw_scene(0, index, (64, 64))[0]).save(folder / "images" / f"{index:03d}.png")
        Image.fromarray(label_map).save(folder / "masks" / f"{index:03d}.png")
    (folder / "dataset.yaml").write_text(yaml)
    return folder


def codes(diagnosis: Diagnosis, *severities: str) -> list[str]:
    return [each.code for each in diagnosis.findings if each.severity in severities]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("camvid", ["one-sequence", "sequence-shared"]),
        ("bag", ["mask-shared"]),
        (
            "voc2012-animals",
            [
                "class-unlearnt",
                "class-absent",
                "class-unmeasured",
                "class-rare",
                "fits-poorly",
                "picture-grey",
            ],
        ),
    ],
)
def test_real_sets_are_sound(real_data: Path, name, expected):
    diagnosis = diagnose(real_data / name)
    assert codes(diagnosis, "ruins", "harms") == []
    found = {each.code: each.title for each in diagnosis.findings}
    assert set(found) - {"mask-constant"} == set(expected)
    if name == "camvid":
        assert found["sequence-shared"].endswith("'0016E5' has 204 pictures in training and 101 in val")
        assert found["one-sequence"].endswith("val is '0016E5'")
    if name == "voc2012-animals":
        assert "aeroplane" in found["class-absent"]


def test_part_of_a_real_set(real_data: Path, tmp_path: Path):
    """As above, in a few seconds."""
    for split, number in (("train", 5), ("val", 12)):
        for folder in ("images", "masks"):
            (tmp_path / folder / split).mkdir(parents=True)
            for path in sorted((real_data / "camvid" / folder / split).iterdir())[-number:]:
                (tmp_path / folder / split / path.name).write_bytes(path.read_bytes())
    (tmp_path / "dataset.yaml").write_bytes((real_data / "camvid" / "dataset.yaml").read_bytes())
    diagnosis = diagnose(tmp_path)
    assert set(codes(diagnosis, "ruins", "harms")) <= {"class-unlearnt"}  # in so few pictures
    assert {"one-sequence", "sequence-shared"} <= set(codes(diagnosis, "information"))


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, or the end cut off, or a piece doubled."""
    data = bytearray(content)
    for place in rng.integers(0, len(data), rng.integers(1, 6)):
        data[place] = rng.integers(0, 256)
    kind = rng.integers(0, 4)
    if kind == 0:
        return bytes(data[: rng.integers(0, len(data))])
    if kind == 1:
        start = int(rng.integers(0, len(data)))
        return bytes(data[:start] + data[start : start + 50] + data[start:])
    return bytes(data)


@pytest.mark.parametrize("number", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_damaged_files_are_findings_and_nothing_else(tmp_path: Path, number):
    """Of every kind of file, pictures and masks alike; the layout stays readable."""
    rng = np.random.default_rng(number)
    picture, label_map = draw_scene(0, 0, (64, 64))
    kinds: list[tuple[str, bytes]] = []
    for image, name in (
        (Image.fromarray(picture), "JPEG"),
        (Image.fromarray(picture), "PNG"),
        (Image.fromarray(picture), "GIF"),
    ):
        stream = io.BytesIO()
        image.save(stream, name)
        kinds.append(({"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif"}[name], stream.getvalue()))
    write_mask(tmp_path / "mask.png", label_map, SCENES)
    mask = (tmp_path / "mask.png").read_bytes()
    for folder in ("images", "masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for index in range(number):
        end, content = kinds[index % len(kinds)]
        (tmp_path / "set/images" / f"{index:04d}{end}").write_bytes(mutated(content, rng))
        (tmp_path / "set/masks" / f"{index:04d}.png").write_bytes(mutated(mask, rng))
    yaml = "classes:\n" + "".join(
        f"  - {{name: {name}, color: {list(color)}}}\n"
        for name, color in zip(SCENES.names, SCENES.colors, strict=True)
    )
    (tmp_path / "set/dataset.yaml").write_text(yaml)
    diagnosis = diagnose(tmp_path / "set")
    assert len(diagnosis.examined) == number
    unreadable = next(each for each in diagnosis.findings if each.code == "unreadable")
    assert len(unreadable.places) > number / 4


def test_a_header_of_a_palette_picture_whose_chunks_are_damaged(tmp_path: Path):
    write_mask(tmp_path / "mask.png", draw_scene(0, 0, (64, 64))[1], SCENES)
    assert header_of(tmp_path / "mask.png") is not None
    content = bytearray((tmp_path / "mask.png").read_bytes())
    place = content.index(b"IDAT") - 4
    content[place : place + 4] = (20).to_bytes(4, "big")  # so that the next one begins amid the pixels
    (tmp_path / "mask.png").write_bytes(content)
    assert header_of(tmp_path / "mask.png") is None


def of_ids(*ids: int) -> np.ndarray:
    """(64, 64) uint8: stripes of these ids."""
    return np.array(ids, np.uint8).repeat(64 // len(ids) + 1)[:64][:, None].repeat(64, 1)


def test_ids_from_one_need_the_whole_set(tmp_path: Path):
    yaml = "classes: [ground, tree, tent, crate]\n"
    from_one = write_set(tmp_path / "a", [of_ids(1, 2, 3), of_ids(2, 4), of_ids(1, 255), of_ids(3, 4)], yaml)
    (found,) = [each for each in diagnose(from_one).findings if each.severity == "ruins"]
    assert (found.code, len(found.places), found.fixable) == ("mask-from-one", 4, True)
    assert {place.note for place in found.places} == {
        "holds ids 1, 2, 3", "holds ids 2, 4", "holds ids 1", "holds ids 3, 4",
    }  # fmt: skip

    slip = write_set(tmp_path / "b", [of_ids(0, 1, 2, 3)] * 20 + [of_ids(1, 4)], yaml)
    assert codes(diagnose(slip), "ruins") == ["mask-ids"]

    unlabelled = write_set(tmp_path / "c", [of_ids(0, 1, 2), of_ids(0, 4), of_ids(3, 4), of_ids(0, 4)], yaml)
    assert codes(diagnose(unlabelled), "ruins") == ["mask-zero-label"]

    few = write_set(tmp_path / "d", [of_ids(4, 255), of_ids(4, 4)], yaml)
    assert "mask-from-one" not in codes(diagnose(few), "ruins")  # one of four classes is no evidence


def test_other_faults_are_found_beside_ids_from_one(tmp_path: Path):
    folder = write_set(
        tmp_path / "a", [of_ids(1, 2, 3, 4), of_ids(2, 4)] * 3, "classes: [ground, tree, tent, crate]\n"
    )
    Image.new("RGB", (64, 64), (3, 200, 77)).save(folder / "masks/000.png")
    assert codes(diagnose(folder), "ruins") == ["mask-from-one", "mask-colours"]


def test_of_many_refused_masks_a_part_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(refusals, "DEEPLY", 2)
    folder = write_set(tmp_path / "a", [of_ids(0, 1, 77)] * 6, "classes: [ground, tree, tent, crate]\n")
    (found,) = [each for each in diagnose(folder).findings if each.severity == "ruins"]
    assert (found.code, len(found.places)) == ("mask-ids", 6)


def test_masks_scaled_so_that_all_ids_are_known_only_harm(tmp_path: Path):
    stripes = [
        np.asarray(Image.fromarray(of_ids(0, 3, 1, 3)).resize((64, 50), 2).resize((64, 64), 2))
        for _ in range(3)
    ]
    folder = write_set(tmp_path / "a", stripes, "classes: [ground, tree, tent, crate]\n")
    found = {each.code: each for each in diagnose(folder).findings}
    assert found["mask-interpolated"].severity == "harms"
    assert found["mask-interpolated"].fixable


def test_unsound_classes_do_not_hide_unsound_files(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", 4, 2, size_hw=(64, 64))
    (folder / "dataset.yaml").write_text("classes: [")
    (folder / "VOCdevkit/VOC2012/JPEGImages/train_0000.jpg").write_bytes(b"")
    Image.new("L", (9, 9)).save(folder / "VOCdevkit/VOC2012/SegmentationClass/train_0001.png")
    assert codes(diagnose(folder), "ruins") == ["description", "empty-file", "mask-size"]


def test_as_json_holds_all_files(tmp_path: Path):
    folder = write_set(
        tmp_path / "a", [of_ids(0, 1, 77)] * 6 + [of_ids(2, 3)], "classes: [ground, tree, tent, crate]\n"
    )
    seen = []
    figures = diagnose(folder, lambda done, total: seen.append((done, total))).as_json()
    assert seen[-1] == (7, 7)
    assert figures["pictures"] == 7
    assert figures["classes"] == list(FOUR.names)
    assert figures["counts"]["ruins"] == 1
    (ruin,) = [each for each in figures["findings"] if each["severity"] == "ruins"]
    assert (ruin["code"], ruin["num_files"], len(ruin["files"])) == ("mask-ids", 6, 6)
    assert ruin["files"][0]["note"] == "id 77 on 1280 pixels is none of the 4 classes"
    assert diagnose(tmp_path / "nothing").as_json()["classes"] is None
