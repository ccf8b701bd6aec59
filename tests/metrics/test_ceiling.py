"""The ceiling that a stride sets, against its definition and against the paper's figures."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import read_mask
from fullconv.errors import InputError
from fullconv.metrics import Confusion, stride_ceiling

VOC_CEILINGS = {32: 0.861, 16: 0.928, 8: 0.964, 4: 0.985}
"""Long, Shelhamer & Darrell 2015, appendix A; of all VOC classes."""

VOC_CLASSES = ("background", "cat", "cow", "dog", "horse", "person", "sheep")


@st.composite
def true_maps(draw):
    """K and true ids, with void; K up to 5."""
    k = draw(st.integers(1, 5))
    shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = rng.integers(0, k, shape).astype(np.uint8)
    truth[rng.random(shape) < draw(st.sampled_from([0, 0.2, 0.95, 1]))] = 255
    return k, truth


def counted(k, labels, truth):
    confusion = Confusion(k)
    confusion.update(labels, truth)
    return confusion


def plain_ceiling(truth, stride):
    """A cell at a time: the first of its valid pixels that are nearest to its centre."""
    h, w = truth.shape
    best = truth.copy()
    for top in range(0, h, stride):
        for left in range(0, w, stride):
            middle_y, middle_x = top + (stride - 1) / 2, left + (stride - 1) / 2
            cell = [
                ((y - middle_y) ** 2 + (x - middle_x) ** 2, y, x)
                for y in range(top, min(top + stride, h))
                for x in range(left, min(left + stride, w))
                if truth[y, x] != 255
            ]
            if cell:
                _, y, x = min(cell)
                best[top : top + stride, left : left + stride] = truth[y, x]
    return best


@given(true_maps(), st.integers(1, 11))
@settings(max_examples=80, deadline=None)
def test_the_ceiling_is_the_definition_and_can_be_scored(case, stride):
    k, truth = case
    ceiling = stride_ceiling(truth, stride)
    assert ceiling.dtype == torch.uint8
    assert ceiling.tolist() == plain_ceiling(truth, stride).tolist()
    counted(k, ceiling, truth)


def test_stride_one_loses_nothing():
    truth = torch.randint(0, 9, (2, 7, 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(stride_ceiling(truth, 1), truth)


def test_what_is_drawn_in_whole_cells_loses_nothing_and_finer_grids_lose_less():
    coarse = torch.randint(0, 3, (8, 8), generator=torch.Generator().manual_seed(0))
    truth = coarse.repeat_interleave(8, 0).repeat_interleave(8, 1)
    scores = {stride: counted(3, stride_ceiling(truth, stride), truth).mean_iou for stride in (4, 8, 16, 32)}
    assert scores[4] == scores[8] == 1 > scores[16] > scores[32]


def test_a_batch_is_its_pictures():
    truth = torch.randint(0, 3, (2, 3, 11, 13), generator=torch.Generator().manual_seed(0)).masked_fill_(
        torch.rand(2, 3, 11, 13, generator=torch.Generator().manual_seed(1)) < 0.5, 255
    )
    ceilings = stride_ceiling(truth, 4)
    for i in range(2):
        for j in range(3):
            assert torch.equal(ceilings[i, j], stride_ceiling(truth[i, j], 4))


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4"])
def test_ceilings_take_other_dtypes(dtype):
    truth = (np.arange(48).reshape(6, 8) // 9).astype(dtype)
    assert stride_ceiling(truth, 3).tolist() == plain_ceiling(truth, 3).tolist()


def test_arguments_are_checked():
    truth = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="stride_ceiling got stride 0; expected at least 1"):
        stride_ceiling(truth, 0)
    message = "stride_ceiling got truth of shape (4,); expected (..., H, W)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        stride_ceiling(truth[0], 2)


def test_ceilings_of_voc_pictures_are_near_the_papers(real_data):
    """The part of VOC 2012 with animals, and its main classes: not the paper's pictures, so within three points.

    VOC's void hides each border by five pixels, which raises the ceilings of the fine strides.
    """
    dataset = open_dataset(real_data / "voc2012-animals")
    main = [dataset.labels.names.index(name) for name in VOC_CLASSES]
    ceilings = {stride: Confusion(dataset.labels.num_classes) for stride in VOC_CEILINGS}
    for sample in dataset.split("val")[::5]:
        truth = read_mask(sample.mask, dataset.labels)
        for stride, confusion in ceilings.items():
            confusion.update(stride_ceiling(truth, stride), truth)
    found = {stride: np.mean([confusion.iou[i] for i in main]) for stride, confusion in ceilings.items()}
    assert found[32] < found[16] < found[8] < found[4] < 1
    for stride, paper in VOC_CEILINGS.items():
        assert found[stride] == pytest.approx(paper, abs=0.03), stride
