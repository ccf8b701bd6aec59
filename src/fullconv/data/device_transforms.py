"""The augmentation of training where the network is: the loader reads and cuts, the GPU resizes and recolours.

What is drawn is what `TrainTransform` draws, from the same generator. Resizing is Pillow's bilinear filter with antialiasing,
as two matrix products; it rounds once where Pillow rounds after either, so pictures differ by up to two of 255 levels. Labels,
of which there is less to do, are cut by the loader itself.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fullconv.data.transforms import Recolor, Span, TrainTransform, Variation


class Part(NamedTuple):
    """What is left to be done for the crop of a sample.

    Attributes:
        picture: (C, h', w') uint8, of the source as much as the crop shows and its filter reaches.
        labels: (h, w) or (T, h, w) uint8, ready.
        variation: what is to be done to `picture`.
        which: of the samples it is.
    """

    picture: Tensor
    labels: Tensor
    variation: Variation
    which: int


def cut(picture: np.ndarray, labels: Tensor, variation: Variation, which: int) -> Part:
    """The part of a sample that a variation shows.

    Args:
        picture: (H, W, C) uint8.
        labels: its crop.
        variation: drawn for the whole sample.
        which: of the samples it is.
    """
    top, bottom = reach(variation.rows, picture.shape[0])
    left, right = reach(variation.columns, picture.shape[1])
    return Part(
        torch.from_numpy(picture[top:bottom, left:right].transpose(2, 0, 1).copy()),
        labels,
        replace(variation, rows=moved(variation.rows, top), columns=moved(variation.columns, left)),
        which,
    )


def reach(span: Span, length: int) -> tuple[int, int]:
    """First and past last source pixel that a span's filter sees."""
    support = max(1.0, span.ratio)
    return max(0, math.floor(span.start - support)), min(length, math.ceil(span.stop + support))


def moved(span: Span, offset: int) -> Span:
    """The span in a source whose first `offset` pixels are cut away."""
    return replace(span, start=span.start - offset, stop=span.stop - offset)


def varied(
    parts: Sequence[Part], transform: TrainTransform, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The batch that the parts make.

    Returns:
        pictures: (N, C, h, w) uint8 on `device`.
        labels: (N, h, w) or (N, T, h, w) uint8, on the CPU.
        indices: (N,) int64, on the CPU.
    """
    fill = torch.tensor(transform.fill_of(len(parts[0].picture)), dtype=torch.uint8, device=device)
    pictures = fill.view(1, -1, 1, 1).repeat(len(parts), 1, *transform.crop_hw)
    for picture, part in zip(pictures, parts, strict=True):
        drawn = part.variation
        source = part.picture.to(device, non_blocking=True).float()
        down = resampling(drawn.rows, source.shape[1], device)
        across = resampling(drawn.columns, source.shape[2], device)
        patch = (down @ source @ across.T).round()
        if drawn.recolor is not None:
            patch[:3] = recolored(patch[:3], drawn.recolor)
        picture[(slice(None), *drawn.shown)] = (patch.flip(-1) if drawn.mirror else patch).byte()
    labels = torch.stack([part.labels for part in parts])
    return pictures, labels, torch.tensor([part.which for part in parts])


def resampling(span: Span, length: int, device: torch.device) -> Tensor:
    """(size, length) float32 weights of a triangle as wide as the pixels shown, and at least as the source's.

    >>> resampling(Span(slice(0, 2), 0.0, 4.0), 4, torch.device("cpu")).mul(7).round(decimals=4)
    tensor([[3., 3., 1., 0.],
            [0., 1., 3., 3.]])
    """
    centres = span.start + (torch.arange(span.size, dtype=torch.float64, device=device) + 0.5) * span.ratio
    pixels = torch.arange(length, dtype=torch.float64, device=device) + 0.5
    weights = (1 - (pixels - centres[:, None]).abs() / max(1.0, span.ratio)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).float()


def recolored(patch: Tensor, recolor: Recolor) -> Tensor:
    """(3, h, w) float32 in 0..255 with other colours, rounded."""
    linear, of_mean = (torch.from_numpy(each).to(patch) for each in recolor.parts())
    mean = F.avg_pool2d(patch, 8, ceil_mode=True, count_include_pad=False).mean((1, 2))
    changed = torch.einsum("ij,jhw->ihw", linear, patch) + (of_mean @ mean)[:, None, None]
    return changed.round().clamp(0, 255)
