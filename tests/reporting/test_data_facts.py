"""Counts against counts made otherwise."""

import numpy as np
import pytest
import torch
from data_sets import stripes, write_set

from fullconv.data.dataset import open_dataset
from fullconv.errors import DataError
from fullconv.metrics import Confusion, stride_ceiling
from fullconv.reporting.data_facts import NUM_TYPICAL, data_facts

NAMES = ["background", "a", "b", "c"]


def maps_of(seed: int, number: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [
        np.kron(
            draw.choice([0, 1, 2, 255], (4, 3 + index % 3), p=[0.6, 0.25, 0.1, 0.05]), np.ones((9, 10), int)
        )
        for index in range(number)
    ]


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path / "set", {"train": maps_of(0, 9), "val": maps_of(1, 4)}, NAMES)


def test_counts(folder):
    told = []
    facts = data_facts(open_dataset(folder), progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 13) for done in range(1, 14)]
    assert (facts.name, facts.main, facts.unreadable) == ("set", "train", ())
    for split, seed, number in (("train", 0, 9), ("val", 1, 4)):
        label_maps, found = maps_of(seed, number), facts.splits[split]
        flat = np.concatenate([each.ravel() for each in label_maps])
        assert found.pixels_per_class == tuple(int((flat == index).sum()) for index in range(4))
        assert found.pictures_per_class == tuple(
            sum((each == index).any() for each in label_maps) for index in range(4)
        )
        assert found.void_pixels == (flat == 255).sum()
        assert found.void_share == pytest.approx((flat == 255).mean())
        assert found.shares == pytest.approx([(flat[flat != 255] == index).mean() for index in range(4)])
        sizes = [each.shape for each in label_maps]
        assert found.num_pictures == number
        assert (found.smallest_hw, found.largest_hw) == (min(sizes), max(sizes))
        assert found.median_hw == (36, int(np.median([width for _, width in sizes])))
        assert (found.kinds, found.mask_kinds) == ({".jpg": number}, {".png": number})
        for stride in (32, 16, 8, 4):
            confusion = Confusion(4)
            for each in label_maps:
                truth = torch.as_tensor(each)
                confusion.update(stride_ceiling(truth, stride), truth)
            assert found.ceilings[stride] == confusion.mean_iou


def test_balance(tmp_path):
    facts = data_facts(open_dataset(write_set(tmp_path, {"train": [stripes(4, 40, [0, 1, 2, 3])]}, NAMES)))
    assert facts.effective_classes == pytest.approx(4)
    assert facts.ratio == 1
    uneven = stripes(4, 40, [0] * 9 + [1])
    facts = data_facts(open_dataset(write_set(tmp_path / "b", {"train": [uneven]}, NAMES)))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert facts.effective_classes == pytest.approx(np.exp(entropy))
    assert facts.ratio == pytest.approx(9)  # classes that are absent do not count


def test_examples(tmp_path):
    maps = [np.zeros((6, 20), int) for _ in range(20)]
    maps[3][0, :5], maps[7][:3, :] = 3, 3
    maps[11][0, 0] = 2
    maps[12][:] = 1
    facts = data_facts(open_dataset(write_set(tmp_path, {"train": maps, "val": maps[:1]}, NAMES)))
    typical = [example.sample.name for example in facts.examples if example.rare is None]
    assert len(typical) == NUM_TYPICAL
    assert (typical[0], typical[-1]) == ("train_0", "train_9")  # in the order of the names
    rare = {example.rare: example.sample.name for example in facts.examples if example.rare is not None}
    assert rare == {2: "train_11", 3: "train_7"}


def test_one_split(folder):
    facts = data_facts(open_dataset(folder), "val")
    assert (list(facts.splits), facts.main) == (["val"], "val")
    with pytest.raises(DataError, match="got split 'test', expected one that has masks"):
        data_facts(open_dataset(folder), "test")


def test_splits_that_share_pictures_read_them_once(folder):
    names = {
        split: [f"{split}_{index}" for index in range(number)] for split, number in (("train", 9), ("val", 4))
    }
    flat = folder.parent / "flat"
    for kind in ("images", "masks"):
        (flat / kind).mkdir(parents=True)
        for file in (folder / kind).glob("*/*"):
            file.rename(flat / kind / file.name)
    for split, listed in {**names, "train_val": names["train"] + names["val"]}.items():
        (flat / f"{split}.txt").write_text("\n".join(listed))
    (flat / "dataset.yaml").write_text((folder / "dataset.yaml").read_text())
    told = []
    facts = data_facts(open_dataset(flat), progress=lambda done, total: told.append(total))
    assert told == [13] * 13
    both = facts.splits["train_val"]
    assert both.pixels_per_class == tuple(
        a + b
        for a, b in zip(
            facts.splits["train"].pixels_per_class, facts.splits["val"].pixels_per_class, strict=True
        )
    )


def test_files_that_cannot_be_read(folder):
    (folder / "masks" / "train" / "train_1.png").write_bytes(b"no mask")
    (folder / "images" / "val" / "val_0.jpg").write_bytes(b"")
    facts = data_facts(open_dataset(folder))
    assert facts.splits["train"].num_pictures == 8
    assert facts.splits["val"].num_pictures == 3
    assert len(facts.unreadable) == 2
    assert "train_1.png: is not a picture" in facts.unreadable[0]
    for file in (folder / "masks" / "val").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match=r"split 'val' has no picture that can be read: .* \(and 4 more\)"):
        data_facts(open_dataset(folder))


def test_masks_of_nothing_but_void(tmp_path):
    facts = data_facts(open_dataset(write_set(tmp_path, {"train": [np.full((5, 5), 255)]}, NAMES)))
    split = facts.splits["train"]
    assert split.ceilings == dict.fromkeys((32, 16, 8, 4))
    assert (split.void_share, split.shares, facts.ratio) == (1, [0, 0, 0, 0], 1)
