"""The patch-wise baseline: sliding against brute force, dense against sliding, what a window sees, and sampling."""

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from fullconv.errors import InputError
from fullconv.losses import cross_entropy
from fullconv.models.patchwise import Patchwise, SlidingClassifier, padding, sample_patches, slide
from fullconv.ops.tracing import place_of, trace

WINDOWS = [11, 15, 19]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_network(window: int = 15, num_classes: int = 3) -> Patchwise:
    torch.manual_seed(window)
    return Patchwise(num_classes, window, channels=(5, 6, 7)).double().eval()


def random_pictures(num: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, 3, height, width, dtype=torch.float64, generator=seeded(seed))


def cut_out(picture: torch.Tensor, row: int, column: int, window: int) -> torch.Tensor:
    """The window whose pixel (window - 1) // 2 is (row, column), pixel by pixel; zeros outside the picture."""
    patch = torch.zeros(3, window, window, dtype=picture.dtype)
    for i in range(window):
        for j in range(window):
            y, x = row + i - (window - 1) // 2, column + j - (window - 1) // 2
            if 0 <= y < picture.shape[1] and 0 <= x < picture.shape[2]:
                patch[:, i, j] = picture[:, y, x]
    return patch


@pytest.mark.parametrize("window", WINDOWS)
def test_sliding_classifies_the_window_around_each_pixel(window):
    model, pictures = small_network(window), random_pictures(2, 5, 18)
    logits = model.sliding(pictures, chunk=7)
    assert logits.shape == (2, 3, 5, 18)
    for picture, row, column in [(0, 0, 0), (0, 4, 17), (1, 2, 9), (1, 0, 16)]:
        patch = cut_out(pictures[picture], row, column, window)
        torch.testing.assert_close(logits[picture, :, row, column], model.classify(patch[None])[0])


@given(
    window=st.sampled_from(WINDOWS),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    num=st.integers(1, 2),
    chunk=st.integers(20, 300),
)
def test_dense_equals_sliding(window, height, width, num, chunk):
    model, pictures = small_network(window), random_pictures(num, height, width, seed=height * 31 + width)
    with torch.inference_mode():
        dense = model(pictures)
        assert dense.shape == (num, 3, height, width)
        torch.testing.assert_close(dense, model.sliding(pictures, chunk), rtol=0, atol=1e-10)


def test_dense_equals_sliding_at_the_default_width_in_float32():
    torch.manual_seed(1)
    model, picture = Patchwise(11).eval(), torch.randn(1, 3, 33, 41)
    with torch.inference_mode():
        torch.testing.assert_close(model(picture), model.sliding(picture), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_pixel_depends_on_its_window_and_on_nothing_else(window):
    model, half = small_network(window), window // 2
    touched = torch.zeros(41, 41, dtype=torch.bool)
    for seed in range(12):
        picture = random_pictures(1, 41, 41, seed).requires_grad_()
        (slope,) = torch.autograd.grad(model(picture)[0, :, 20, 20].square().sum(), picture)
        touched |= (slope[0] != 0).any(dim=0)
    inside = torch.zeros_like(touched)
    inside[20 - half : 21 + half, 20 - half : 21 + half] = True
    assert not touched[~inside].any()
    for edge in (touched[20 - half], touched[20 + half], touched[:, 20 - half], touched[:, 20 + half]):
        assert edge.any()


@pytest.mark.parametrize("window", WINDOWS)
def test_geometry_says_the_same(window):
    place = place_of(trace(Patchwise(2, window), (40, 50))[0])
    assert place is not None
    for axis in place.geometry_hw:
        assert (axis.stride, axis.offset, axis.receptive_field) == (1, 0, window)


def test_scores_keep_the_parameters_precision_under_autocast():
    model, picture = Patchwise(4), torch.randn(1, 3, 20, 20)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert model(picture).dtype == torch.float32
        assert model.sliding(picture).dtype == torch.float32


@pytest.mark.parametrize("window", [7, 12, 13, 16, 224])
def test_windows_that_do_not_come_out_even_are_refused(window):
    with pytest.raises(InputError, match=rf"window is {window} pixels; expected 11, 15, 19"):
        Patchwise(3, window)


def test_no_classes_and_windows_of_another_size_are_refused():
    with pytest.raises(InputError, match="num_classes is 0"):
        Patchwise(0)
    with pytest.raises(InputError, match=r"windows of shape \(2, 3, 15, 16\); expected \(P, 3, 15, 15\)"):
        Patchwise(3).classify(torch.zeros(2, 3, 15, 16))


@given(window=st.integers(1, 30), stride=st.integers(1, 30), size=st.integers(1, 70))
def test_each_block_has_one_window_with_its_centre_amid_it(window, stride, size):
    """On a ramp the mean over a window is the position of its centre."""
    assume(stride <= window)
    ramp = torch.arange(size, dtype=torch.float64).expand(1, 1, size, size)
    centres = slide(lambda patches: patches.mean((2, 3)), ramp, window, stride, 1000)[0, 0]
    assert centres.shape == (-(-size // stride), -(-size // stride))
    first = torch.arange(centres.shape[0], dtype=torch.float64) * stride - padding(window, stride)[0]
    inside = (first >= 0) & (first + window <= size)
    torch.testing.assert_close(centres.diagonal()[inside], first[inside] + (window - 1) / 2)
    block_centres = torch.arange(centres.shape[0]) * stride + (stride - 1) / 2
    assert ((first + (window - 1) / 2 - block_centres).abs() <= 0.5).all()


class ChannelMeans(nn.Module):
    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean((2, 3))


@pytest.mark.parametrize(("window", "stride"), [(9, 4), (8, 4), (9, 3), (24, 8), (15, 1), (32, 32)])
def test_slid_scores_are_put_where_their_windows_look(window, stride):
    model = SlidingClassifier(ChannelMeans(), num_classes=3, window=window, stride=stride, chunk=50)
    rows, columns = torch.meshgrid(torch.arange(131.0), torch.arange(150.0), indexing="ij")
    pictures = torch.stack([rows, columns, rows + 2 * columns])[None].double()
    logits = model(pictures)
    assert logits.shape == pictures.shape
    inside = (..., slice(window + stride, -window - stride), slice(window + stride, -window - stride))
    assert pictures[inside].numel() > 0
    torch.testing.assert_close(logits[inside], pictures[inside])


def test_an_even_window_at_stride_1_has_its_centre_half_a_pixel_on():
    picture = torch.arange(40.0).expand(1, 3, 40, 40)
    logits = SlidingClassifier(ChannelMeans(), 3, window=6, stride=1, chunk=500)(picture)
    torch.testing.assert_close(logits[..., 6:-6, 6:-6], picture[..., 6:-6, 6:-6] + 0.5)


@pytest.mark.parametrize("stride", [0, 10])
def test_strides_that_leave_gaps_are_refused(stride):
    with pytest.raises(InputError, match=rf"the stride is {stride}; expected 1 up to the window, 9"):
        SlidingClassifier(ChannelMeans(), 3, window=9, stride=stride)


def labelled_positions(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures whose channels say (picture + 1, row, column), and labels, a third of them void; one is void throughout."""
    positions = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (3, 9, 13)), indexing="ij"), dim=1)
    pictures = positions.double() + torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)[:, None, None]
    labels = torch.randint(0, 6, (3, 9, 13), generator=seeded(seed))
    labels[labels > 3] = 255
    labels[1] = 255
    return pictures, labels.to(torch.uint8)


@pytest.mark.parametrize("window", [15, 6])
def test_sampled_windows_are_those_around_valid_pixels(window):
    pictures, labels = labelled_positions()
    patches, ids = sample_patches(pictures, labels, 20, window, seeded(4))
    assert patches.shape == (40, 3, window, window)
    assert ids.dtype == torch.int64
    middle = (window - 1) // 2
    centres = [tuple(int(value) for value in patch[:, middle, middle]) for patch in patches]
    assert len(set(centres)) == 40, "a pixel was drawn twice"
    assert [picture for picture, _, _ in centres] == [1] * 20 + [3] * 20
    for patch, label, (picture, row, column) in zip(patches, ids, centres, strict=True):
        assert label == labels[picture - 1, row, column]
        assert label != 255
        torch.testing.assert_close(patch, cut_out(pictures[picture - 1], row, column, window))


def test_asked_for_more_than_there_are_every_valid_pixel_comes_once():
    pictures, labels = labelled_positions()
    patches, ids = sample_patches(pictures, labels, 10_000, 11, seeded(0))
    assert len(patches) == int((labels != 255).sum())
    assert torch.bincount(ids).tolist() == torch.bincount(labels[labels != 255].long()).tolist()


def test_sampling_repeats_itself_and_differs_between_seeds():
    pictures, labels = labelled_positions()
    first, again, other = (sample_patches(pictures, labels, 9, 11, seeded(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_valid_pixels_are_drawn_all_alike():
    picture, labels = torch.zeros(1, 3, 2, 5), torch.full((1, 2, 5), 9)
    labels[0, 0, [0, 2, 4]] = torch.tensor([0, 1, 2])
    generator = seeded(6)
    drawn = [int(sample_patches(picture, labels, 1, 11, generator, ignore_index=9)[1]) for _ in range(600)]
    assert scipy.stats.chisquare(np.bincount(drawn, minlength=3)).pvalue > 0.001


def test_no_valid_pixel_gives_no_window():
    patches, ids = sample_patches(torch.zeros(1, 3, 4, 4), torch.full((1, 4, 4), 255), 5, 15, seeded(0))
    assert patches.shape == (0, 3, 15, 15)
    assert ids.shape == (0,)
    assert Patchwise(4).classify(patches).shape == (0, 4)


def test_classifying_sampled_windows_gives_the_dense_scores_of_their_centres():
    """Padding included: the windows of all valid pixels hang over every border."""
    pictures, labels = random_pictures(2, 9, 13), labelled_positions()[1][[0, 2]]
    model = small_network()
    patches, _ = sample_patches(pictures, labels, 5, 15, seeded(3))
    _, ids = sample_patches(
        pictures, torch.arange(2 * 9 * 13).view(2, 9, 13).where(labels != 255, 255), 5, 15, seeded(3)
    )
    dense = model(pictures).permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(model.classify(patches), dense[ids])


def test_training_on_all_windows_is_training_on_the_whole_picture():
    """Section 3.4: patch-wise training only draws from the terms of the picture's loss."""
    pictures, labels = random_pictures(3, 9, 13), labelled_positions()[1]
    model = small_network(num_classes=4)
    patches, ids = sample_patches(pictures, labels, 10_000, 15, seeded(0))
    losses = F.cross_entropy(model.classify(patches), ids), cross_entropy(model(pictures), labels)
    torch.testing.assert_close(*losses)
    slopes = [torch.autograd.grad(loss, list(model.parameters())) for loss in losses]
    for sampled, whole in zip(*slopes, strict=True):
        torch.testing.assert_close(sampled, whole, rtol=1e-8, atol=1e-10)


def test_it_learns_from_sampled_windows():
    """Stripes against a checkerboard of the same colours: no pixel alone tells them apart, a window does."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(48), indexing="ij")
    board, stripes = (rows + columns) % 2, columns % 2
    picture = torch.where(columns < 24, board, stripes).float().mul(2).sub(1).expand(1, 3, 32, 48)
    labels = (columns >= 24).long()[None]
    torch.manual_seed(0)
    model, generator = Patchwise(2, window=11, channels=(8, 8, 16)), seeded(0)
    for _ in range(50):
        patches, ids = sample_patches(picture, labels, 64, 11, generator)
        loss = F.cross_entropy(model.classify(patches), ids)
        parameters = list(model.parameters())
        with torch.no_grad():
            for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.1 * slope
    with torch.inference_mode():
        right = model(picture).argmax(dim=1) == labels
    assert right.float().mean() > 0.95


@pytest.mark.parametrize(
    ("pictures", "labels", "num", "message"),
    [
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 4, 4), 3, "torch.uint8 pictures; expected normalised"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 5), 3, r"labels of shape \(1, 4, 5\) for pictures of shape"),
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4), 0, "got num 0; expected at least 1"),
    ],
)  # fmt: skip
def test_bad_sampling_arguments_are_refused(pictures, labels, num, message):
    with pytest.raises(InputError, match=message):
        sample_patches(pictures, labels, num, 15, seeded(0))
