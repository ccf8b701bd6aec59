"""The dense CRF, against mean field written out over all pairs of pixels in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fullconv.data.pictures import read_picture
from fullconv.errors import InputError
from fullconv.ops.crf import dense_crf


def pull(points: Tensor) -> Tensor:
    """All pairs' exp(-distance² / 2), normalised symmetrically: (d, H, W) to (H W, H W)."""
    flat = points.flatten(1).T
    kernel = torch.exp(-(torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / 2)
    root = kernel.sum(1).sqrt()
    return kernel / root[:, None] / root[None, :]


def brute_force_crf(
    logits: Tensor,
    picture: Tensor,
    iterations: int,
    position_weight: float,
    position_sigma: float,
    color_weight: float,
    color_position_sigma: float,
    color_sigma: float,
) -> Tensor:
    """The update of the paper and of the authors' code, one pixel pair at a time in effect: O(N²) in float64."""
    rows, columns = (torch.arange(size, dtype=torch.float64) for size in picture.shape[1:])
    position = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    kernel = position_weight * pull(position / position_sigma)
    kernel += color_weight * pull(
        torch.cat([position / color_position_sigma, picture.double() / color_sigma])
    )
    unary = logits.double().log_softmax(0).flatten(1)
    q = unary.exp()
    for _ in range(iterations):
        q = (unary + q @ kernel).softmax(0)
    return q.view_as(logits)


def blobs(seed: int, channels: int, height: int, width: int) -> Tensor:
    """Smooth random planes, about -1..1."""
    noise = torch.randn(1, channels, 5, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(noise, (height, width), mode="bicubic", align_corners=True)[0]


def scene(seed: int, height: int, width: int, num_classes: int) -> tuple[Tensor, Tensor]:
    """A picture of patches with shading and noise, and scores that follow the patches badly."""
    generator = torch.Generator().manual_seed(seed)
    patch = blobs(seed, 4, height, width).argmax(0)
    colors = torch.randint(0, 256, (4, 3), generator=generator)[patch].permute(2, 0, 1)
    noise = torch.randn(3, height, width, generator=generator)
    picture = (colors + 8 * blobs(seed + 1, 3, height, width) + 3 * noise).clamp(0, 255).to(torch.uint8)
    right = F.one_hot(patch % num_classes, num_classes).permute(2, 0, 1)
    return 2 * blobs(seed + 2, num_classes, height, width) + right, picture


@pytest.mark.parametrize(
    ("seed", "size_hw", "num_classes", "sigma"),
    [(0, (31, 43), 5, 3.0), (1, (40, 9), 2, 0.7), (2, (1, 60), 3, 20.0)],
)
def test_smoothness_equals_all_pairs(seed, size_hw, num_classes, sigma):
    logits, picture = scene(seed, *size_hw, num_classes)
    got = dense_crf(logits, picture, iterations=5, position_weight=3, position_sigma=sigma, color_weight=0)
    expected = brute_force_crf(logits, picture, 5, 3, sigma, 0, 1, 1)
    assert (got.exp() - expected).abs().max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_both_kernels_against_all_pairs(seed):
    """The lattice's kernel is not quite Gaussian; where two classes are nearly equal, labels can differ."""
    logits, picture = scene(seed, 37, 51, 4)
    setting = {
        "iterations": 5, "position_weight": 2.0, "position_sigma": 2.0,
        "color_weight": 3.0, "color_position_sigma": 15.0, "color_sigma": 13.0,
    }  # fmt: skip
    got, expected = dense_crf(logits, picture, **setting), brute_force_crf(logits, picture, **setting)
    difference = (got.exp() - expected).abs()
    assert difference.max() < 0.12
    assert difference.mean() < 0.04 * (expected - logits.softmax(0)).abs().mean()
    assert (got.argmax(0) == expected.argmax(0)).float().mean() > 0.99
    assert (logits.argmax(0) == expected.argmax(0)).float().mean() < 0.9  # there was something to do


def test_real_picture_against_all_pairs(real_data):
    file = sorted((real_data / "camvid" / "images" / "val").iterdir())[20]
    picture = torch.from_numpy(read_picture(file)[::7, ::7].copy()).permute(2, 0, 1)
    logits = 3 * blobs(0, 6, *picture.shape[1:])
    setting = {
        "iterations": 5, "position_weight": 1.0, "position_sigma": 2.0,
        "color_weight": 3.0, "color_position_sigma": 15.0, "color_sigma": 10.0,
    }  # fmt: skip
    got, expected = dense_crf(logits, picture, **setting), brute_force_crf(logits, picture, **setting)
    assert (got.exp() - expected).abs().mean() < 0.004
    assert (got.argmax(0) == expected.argmax(0)).float().mean() > 0.99


def test_labels_follow_the_picture():
    """Scores with a border five pixels off, and a picture that shows where it is."""
    picture = torch.full((3, 40, 60), 40.0)
    picture[:, :, 30:] = 200
    logits = torch.zeros(2, 40, 60)
    logits[1] = 0.3 * (torch.arange(60) - 34.5)
    assert logits.argmax(0).sum() == 40 * 25
    assert (dense_crf(logits, picture).argmax(0) == (picture[0] > 100)).all()


@pytest.mark.parametrize("off", [{"iterations": 0}, {"position_weight": 0.0, "color_weight": 0.0}])
def test_without_iterations_or_weights_it_is_log_softmax(off):
    logits, picture = scene(0, 6, 7, 3)
    torch.testing.assert_close(dense_crf(logits, picture, **off), logits.log_softmax(0))


@given(
    st.integers(0, 1000),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 5),
    st.floats(0.3, 90),
    st.floats(1, 90),
)
def test_what_holds_for_any_picture(seed, size_hw, num_classes, position_sigma, color_sigma):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.randint(0, 256, (3, *size_hw), generator=generator, dtype=torch.uint8)
    logits = 3 * torch.randn(num_classes, *size_hw, generator=generator)
    sigmas = {
        "position_sigma": position_sigma,
        "color_position_sigma": position_sigma,
        "color_sigma": color_sigma,
    }
    got = dense_crf(logits, picture, **sigmas)
    assert got.shape == logits.shape
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.exp().sum(0), torch.ones(size_hw))
    # Only the differences of a pixel's scores count, and classes are all alike.
    torch.testing.assert_close(dense_crf(logits + 5, picture, **sigmas).exp(), got.exp(), atol=1e-3, rtol=0)
    shuffled = torch.randperm(num_classes, generator=generator)
    torch.testing.assert_close(
        dense_crf(logits[shuffled], picture, **sigmas).exp(), got[shuffled].exp(), atol=1e-4, rtol=0
    )
    # Where nothing speaks for any class, nothing is decided.
    undecided = dense_crf(torch.zeros_like(logits), picture, **sigmas)
    torch.testing.assert_close(undecided.exp(), torch.full_like(logits, 1 / num_classes))


def test_the_input_may_lie_in_any_way():
    logits, picture = scene(3, 12, 17, 4)
    expected = dense_crf(logits, picture)
    assert (dense_crf(logits, picture.float()) == expected).all()
    turned = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    flat = picture.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    torch.testing.assert_close(dense_crf(turned, flat), expected)
    torch.testing.assert_close(dense_crf(logits.double(), picture), expected)
    wanting = logits.clone().requires_grad_()
    assert not dense_crf(wanting, picture).requires_grad
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(dense_crf(logits.clone(), picture), expected)


GOOD = torch.zeros(2, 4, 5)


@pytest.mark.parametrize(
    ("logits", "picture", "setting", "message"),
    [
        (GOOD[None], torch.zeros(3, 4, 5), {}, r"logits of shape \(1, 2, 4, 5\)"),
        (GOOD.long(), torch.zeros(3, 4, 5), {}, "torch.int64; expected floats"),
        (torch.zeros(0, 4, 5), torch.zeros(3, 4, 5), {}, r"shape \(0, 4, 5\)"),
        (GOOD, torch.zeros(3, 5, 4), {}, r"picture of shape \(3, 5, 4\).*expected \(3, 4, 5\)"),
        (GOOD, torch.zeros(1, 4, 5), {}, "RGB at the size of the logits"),
        (GOOD, torch.full((3, 4, 5), torch.nan), {}, "NaN"),
        (GOOD, torch.zeros(3, 4, 5), {"iterations": -1}, "-1 iterations"),
        (GOOD, torch.zeros(3, 4, 5), {"color_weight": -0.5}, r"weights \(.*-0.5\)"),
        (GOOD, torch.zeros(3, 4, 5), {"color_sigma": 0.0}, "finite numbers above 0"),
        (GOOD, torch.zeros(3, 4, 5), {"position_sigma": torch.nan}, "finite numbers above 0"),
        (
            GOOD,
            255 * torch.eye(5)[None, :4].repeat(3, 1, 1),
            {"color_sigma": 1e-3},
            "larger standard deviations",
        ),
    ],
)
def test_what_cannot_be_used_is_said(logits, picture, setting, message):
    with pytest.raises(InputError, match=message):
        dense_crf(logits, picture, **setting)
