"""The check finds every fault, counts pixels exactly and says what is suspicious."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.check import DataSummary, check_samples, examine_samples
from fullconv.data.dataset import open_dataset
from fullconv.data.masks import Shades, write_mask
from fullconv.data.samples import Sample
from fullconv.data.scenes import write_scenes
from fullconv.errors import DataError
from fullconv.labels import Head, LabelSet

BAG = LabelSet.from_names(["background", "bag"])


def add(folder: Path, name: str, rows: list[list[int]], picture_hw: tuple[int, int] | None = None) -> Sample:
    label_map = np.array(rows, np.uint8)
    Image.new("RGB", (picture_hw or label_map.shape)[::-1]).save(folder / f"{name}.jpg")
    write_mask(folder / f"{name}.png", label_map, BAG)
    return Sample(name, folder / f"{name}.jpg", folder / f"{name}.png")


def test_sound_samples_are_counted(tmp_path: Path):
    samples = [
        add(tmp_path, "a", [[0, 1, 255]]),
        add(tmp_path, "b", [[1], [1], [0]]),
        add(tmp_path, "c", [[0, 1]]),
    ]
    seen = []
    summary = check_samples(samples, BAG, progress=lambda done, total: seen.append((done, total)))
    assert summary == DataSummary(
        3, (3, 4), void_pixels=1, median_hw=(1, 2), warnings=(), smallest_hw=(1, 2), largest_hw=(1, 3)
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_all_faults_are_found_and_the_first_is_told(tmp_path: Path):
    good = add(tmp_path, "good", [[0, 1]])
    wrong_id, wrong_size, broken = (
        add(tmp_path, name, [[0, 1]]) for name in ("wrong_id", "wrong_size", "broken")
    )
    Image.fromarray(np.array([[0, 7]], np.uint8)).save(wrong_id.mask)
    Image.new("RGB", (9, 9)).save(wrong_size.picture)
    broken.picture.write_bytes(broken.picture.read_bytes()[:-30])
    samples = [good, wrong_size, broken, wrong_id]

    summary, faults = examine_samples(samples, BAG)
    assert summary.num_samples == 1
    assert [fault.split(":")[0] for fault in faults] == [
        str(wrong_size.mask),
        str(broken.picture),
        str(wrong_id.mask),
    ]
    with pytest.raises(DataError) as caught:
        check_samples(samples, BAG)
    assert str(caught.value) == f"{faults[0]} (and 2 more)"
    assert faults[0].endswith(f"expected equal sizes; export it at the size of {wrong_size.picture}")
    with pytest.raises(
        DataError, match=r"wrong_id\.png: id 7 on 1 pixels is none of .* there under ignore:$"
    ):
        check_samples([wrong_id], BAG)


def test_masks_of_zero_and_255_are_suspicious_with_two_classes(tmp_path: Path):
    samples = [
        add(tmp_path, "a", [[0, 1, 255]]),
        add(tmp_path, "b", [[0, 255]]),
        add(tmp_path, "c", [[0, 0]]),
    ]
    assert check_samples(samples, BAG).warnings == (
        f"{tmp_path}/b.png: holds only 'background' and void; 255 always means void; if the second class was meant, it is "
        "not learnt there; write 1 where the second class is meant",
    )
    assert check_samples(samples[::2], BAG).warnings == ()


def test_masks_of_zero_and_255_alone_stop_the_run(tmp_path: Path):
    samples = [add(tmp_path, "a", [[0, 255]]), add(tmp_path, "b", [[0, 0]]), add(tmp_path, "c", [[255, 0]])]
    with pytest.raises(DataError) as caught:
        check_samples(samples, BAG)
    assert str(caught.value) == (
        f"{tmp_path}/a.png: holds 0 and 255, and no mask holds 1 (and 1 more); 255 means void: the second class has not "
        "one pixel, and a network that always says the first is perfect; write 1 where 255 is"
    )


def test_a_class_that_never_turns_up(tmp_path: Path):
    labels = LabelSet.from_names(["background", "bag", "cat", "dog"])
    assert check_samples([add(tmp_path, "a", [[0, 1]])], labels).warnings == (
        "classes without a pixel: cat, dog, in 1 masks; what is not there cannot be learnt, and the mean IU leaves it "
        "out; take them out of dataset.yaml if they are not wanted",
    )


def test_masks_that_are_void_all_over(tmp_path: Path):
    samples = [add(tmp_path, "a", [[0, 1]]), add(tmp_path, "b", [[255, 255]])]
    assert check_samples(samples, BAG).warnings == (
        f"{tmp_path}/b.png: is void all over; nothing is learnt from such a mask; label them or take them out",
    )


def test_one_class_and_no_samples(tmp_path: Path):
    labels = LabelSet.from_names(["everything"])
    assert check_samples([add(tmp_path, "a", [[0, 255]])], labels).pixels_per_class == (1,)
    assert check_samples([], BAG) == DataSummary(0, (0, 0), 0, (0, 0), ())


def test_an_interrupt_stops_the_check(tmp_path: Path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_samples([add(tmp_path, "a", [[0, 1]])] * 50, BAG, progress=interrupt)


def test_real_data(real_data: Path):
    dataset = open_dataset(real_data / "camvid")
    summary = check_samples(dataset.split("val"), dataset.labels)
    assert summary.num_samples == 101
    assert sum(summary.pixels_per_class) + summary.void_pixels == 101 * 360 * 480
    assert summary.median_hw == (360, 480)
    assert summary.warnings == ()


def test_masks_that_are_neither_black_nor_white(tmp_path: Path):
    samples = []
    for name, grey in (("a", 12), ("b", 64), ("c", 191)):
        sample = replace(add(tmp_path, name, [[0] * 20] * 5), shades=Shades(dark=1, light=0))
        pixels = np.full((5, 20), 250, np.uint8)
        pixels[:2] = 5
        pixels[0, : 4 * (ord(name) - 96)] = grey
        Image.fromarray(pixels).save(sample.mask)
        samples.append(sample)
    summary = check_samples(samples, BAG)
    assert summary.pixels_per_class == (60 * 3 + 12, 40 * 3 - 12)
    assert summary.warnings == (
        f"{tmp_path}/c.png: 12% of its pixels are neither dark nor light, but grey of 64..191 (and 1 more); these pixels "
        "are taken for the side of 128 they are on, right or wrong; look whether the masks are black and white",
    )
    assert check_samples(samples[:1], BAG).warnings == ()


def test_masks_with_ids_read_as_brightness_are_suspicious(tmp_path: Path):
    sample = replace(add(tmp_path, "a", [[0, 1]]), shades=Shades(dark=0, light=1))
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(sample.mask)
    with pytest.raises(
        DataError, match=r"a\.png: holds 'background' alone, as all masks do; there is nothing to tell"
    ):
        check_samples([sample], BAG)
    (warning,) = check_samples([sample], BAG, learnt=False).warnings
    assert warning.startswith(f"{tmp_path}/a.png: holds 'background' alone")


def test_heads_and_extra_channels_are_checked_too(tmp_path: Path):
    folder = write_scenes(tmp_path / "s", 4, 1, size_hw=(64, 80), depth=True, geometry=True)
    dataset = open_dataset(folder)
    samples, (head,) = dataset.split("train"), dataset.heads
    summary = check_samples(samples, dataset.labels, heads=dataset.heads)
    (counts,) = summary.pixels_per_head
    assert sum(counts) + summary.void_pixels == 4 * 64 * 80  # void is the same in both
    assert min(counts) > 0
    assert check_samples(samples, dataset.labels).pixels_per_head == ()

    more = Head("geometry", LabelSet((*head.labels.names, "indoors"), (*head.labels.colors, (1, 1, 1))))
    warnings = check_samples(samples, dataset.labels, heads=[more]).warnings
    assert warnings[-1].startswith(
        "classes without a pixel: indoors of head geometry, in 4 masks; what is not there"
    )

    Image.new("L", (80, 64), 3).save(samples[1].head_masks[0])
    Image.new("I;16", (80, 60)).save(samples[2].extra)
    faults = examine_samples(samples, dataset.labels, heads=dataset.heads)[1]
    assert [fault.split(":")[0] for fault in faults] == [str(samples[1].head_masks[0]), str(samples[2].extra)]
    assert "id 3 on 5120 pixels is none of the 3 classes" in faults[0]
    assert "is 60 x 80 (height x width), its picture 64 x 80; expected equal sizes" in faults[1]
