"""The augmentation of training: scale, crop, flip and colour, drawn once for a picture and its mask."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fullconv.labels import IGNORE_INDEX, Color

EXTRA_FILL = 128
"""Padding in extra channels: the middle, about what `Preprocessing` takes to zero."""

_GREY = np.array([0.299, 0.587, 0.114])
"""The weights of R, G, B in grey. Source: ITU-R BT.601."""

_TO_YIQ = np.array([_GREY, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True)
class TrainTransform:
    """Scales, crops, flips and recolours a picture together with its mask, at random.

    Only the part of the picture that ends up in the crop is resized, straight from its place in the source:
    the result is that of resizing the whole and cropping then, for a fraction of the work.

    Attributes:
        crop_hw: the size of every result; what lies beyond the picture is padded.
        scale: the picture's size is multiplied by a factor between these two, log-uniform.
        flip: the probability of mirroring left and right.
        brightness: the colours are multiplied by 1 - brightness .. 1 + brightness; 0 leaves them alone, so
            below.
        contrast: their distance from the crop's mean grey, by 1 - contrast .. 1 + contrast.
        saturation: their distance from their own grey, by 1 - saturation .. 1 + saturation.
        hue: they are turned about the grey axis by -hue .. hue of a full turn.
        fill: the colour of padding in the picture; in extra channels it is 128, in the mask 255.
    """

    crop_hw: tuple[int, int]
    scale: tuple[float, float] = (0.5, 2.0)
    flip: float = 0.5
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = 0.03
    fill: Color = (124, 116, 104)

    def __call__(
        self, picture: np.ndarray, label_map: np.ndarray, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws one variation of a sample.

        Args:
            picture: (H, W, 3 + m) uint8: RGB and any extra channels, whose values no colour change touches.
            label_map: (H, W) uint8, or (T, H, W) with several heads. Neither T nor m changes what is drawn.
            generator: where all chance comes from.

        Returns:
            picture: (3 + m, h, w) uint8, bilinear with antialiasing.
            labels: (h, w) or (T, h, w) uint8, the nearest pixel: no label appears that was not there, but 255.

        >>> picture, label_map = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), np.uint8)
        >>> transform = TrainTransform(crop_hw=(8, 8), scale=(1.0, 1.0))
        >>> labels = transform(picture, label_map, np.random.default_rng(0))[1]
        >>> labels.shape, labels.unique().tolist(), int((labels == 1).sum())
        (torch.Size([8, 8]), [1, 255], 24)
        """
        drawn = self.draw(label_map.shape[-2:], generator)
        return self.picture_of(picture, drawn), self.labels_of(label_map, drawn)

    def picture_of(self, picture: np.ndarray, drawn: "Variation") -> Tensor:
        """(H, W, 3 + m) uint8 to (3 + m, h, w) uint8."""
        patch = Image.fromarray(picture[..., :3]).resize(drawn.size, Image.Resampling.BILINEAR, drawn.box)
        patch = patch.convert("RGB", drawn.recolor.matrix(patch)) if drawn.recolor else patch
        # Straight to channels first, as the network wants them: filling (h, w, 3) takes a hundred times as long.
        colors = np.array(self.fill_of(picture.shape[2]), np.uint8)
        out = np.full((len(colors), *self.crop_hw), colors[:, None, None])
        out[(slice(3), *drawn.shown)] = np.asarray(patch).transpose(2, 0, 1)[..., :: drawn.step]
        for channel in range(3, len(out)):
            extra = Image.fromarray(picture[..., channel])
            extra = extra.resize(drawn.size, Image.Resampling.BILINEAR, drawn.box)
            out[(channel, *drawn.shown)] = np.asarray(extra)[:, :: drawn.step]
        return torch.from_numpy(out)

    def labels_of(self, label_map: np.ndarray, drawn: "Variation") -> Tensor:
        """(H, W) or (T, H, W) uint8 to (h, w) or (T, h, w) uint8."""
        labels = np.full((*label_map.shape[:-2], *self.crop_hw), IGNORE_INDEX, np.uint8)
        for index in np.ndindex(label_map.shape[:-2]):
            # Pillow's nearest takes the source pixel under each target pixel's centre, where the bilinear
            # filter is centred too
            patch = Image.fromarray(label_map[index]).resize(drawn.size, Image.Resampling.NEAREST, drawn.box)
            labels[(*index, *drawn.shown)] = np.asarray(patch)[:, :: drawn.step]
        return torch.from_numpy(labels)

    def draw(self, hw: tuple[int, ...], generator: np.random.Generator) -> "Variation":
        """Draws what is done to a sample of `hw` pixels."""
        factor = math.exp(generator.uniform(math.log(self.scale[0]), math.log(self.scale[1])))
        rows = _place(hw[0], factor, self.crop_hw[0], generator)
        columns = _place(hw[1], factor, self.crop_hw[1], generator)
        mirror = bool(generator.random() < self.flip)
        if mirror:
            shown, width = columns.shown, self.crop_hw[1]
            columns = replace(columns, shown=slice(width - shown.stop, width - shown.start))
        return Variation(rows, columns, mirror, self._draw_colors(generator))

    def fill_of(self, num_channels: int) -> list[int]:
        """The padding of each channel."""
        return [*self.fill, *[EXTRA_FILL] * (num_channels - 3)]

    def _draw_colors(self, generator: np.random.Generator) -> "Recolor | None":
        strengths = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        drawn = generator.uniform(-strengths, strengths)
        order = generator.permutation(4)
        if not strengths.any():
            return None
        brightness, contrast, saturation, hue = drawn.tolist()
        return Recolor(1 + brightness, 1 + contrast, 1 + saturation, hue, tuple(order.tolist()))


@dataclass(frozen=True)
class Span:
    """Where one axis of a crop comes from.

    Attributes:
        shown: the part of the crop that shows picture; the rest is padding.
        start, stop: the part of the source that is shown there, in source pixels, which need not be whole.
    """

    shown: slice
    start: float
    stop: float

    @property
    def size(self) -> int:
        """How many pixels of the crop show picture."""
        return self.shown.stop - self.shown.start

    @property
    def ratio(self) -> float:
        """Source pixels to one of the crop."""
        return (self.stop - self.start) / self.size


def _place(length: int, factor: float, target: int, generator: np.random.Generator) -> Span:
    """Places a scaled axis and a crop of it at random, one within the other, whichever is longer.

    Args:
        length: of the source, in pixels.
        factor: of the scaling; the scaled length is rounded to whole pixels.
        target: the crop's length.
    """
    scaled = max(1, round(length * factor))
    offset = int(generator.integers(abs(scaled - target) + 1))
    if scaled <= target:
        return Span(slice(offset, offset + scaled), 0.0, float(length))
    return Span(slice(0, target), offset * length / scaled, (offset + target) * length / scaled)


@dataclass(frozen=True)
class Variation:
    """What was drawn for a sample.

    Attributes:
        rows, columns: which part of it is seen, and where in the crop.
        mirror: left and right change places within that part.
        recolor: what is done to its colours; None: nothing.
    """

    rows: Span
    columns: Span
    mirror: bool
    recolor: "Recolor | None"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is seen, in the crop's pixels."""
        return self.columns.size, self.rows.size

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what is seen, in the source's pixels."""
        return self.columns.start, self.rows.start, self.columns.stop, self.rows.stop

    @property
    def shown(self) -> tuple[slice, slice]:
        """Where in the crop it is seen."""
        return self.rows.shown, self.columns.shown

    @property
    def step(self) -> int:
        """Of its columns, from left to right."""
        return -1 if self.mirror else 1


@dataclass(frozen=True)
class Recolor:
    """Brightness, contrast, saturation and hue, in the given order of (0, 1, 2, 3).

    Each of the four is an affine map of (R, G, B), so all are one 3 x 4 matrix: the pixels are visited and
    rounded once.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    order: tuple[int, ...]

    def matrix(self, picture: Image.Image) -> tuple[float, ...]:
        """The twelve coefficients that Pillow's `convert` takes, row by row; the last column is added."""
        # near enough, and much faster than over all pixels
        mean = np.asarray(picture.reduce(8)).reshape(-1, 3).mean(0)
        linear, of_mean = self.parts()
        return tuple(np.column_stack([linear, of_mean @ mean]).ravel().tolist())

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """(3, 3) and (3, 3): a pixel becomes the first times itself and the second times the picture's mean colour."""
        steps = (
            self.brightness * np.eye(3),
            self.contrast * np.eye(3),
            self.saturation * np.eye(3) + (1 - self.saturation) * np.outer(np.ones(3), _GREY),
            _turn_about_grey(self.hue),
        )
        linear, of_mean = np.eye(3), np.zeros((3, 3))
        for which in self.order:
            grey = _GREY @ (linear + of_mean)
            linear, of_mean = steps[which] @ linear, steps[which] @ of_mean
            if which == 1:
                of_mean = of_mean + (1 - self.contrast) * grey
        return linear, of_mean


def _turn_about_grey(turn: float) -> np.ndarray:
    """(3, 3): turns colours about the axis from black to white and keeps their grey.

    `turn` is in full turns; red goes towards green.

    >>> np.allclose(_turn_about_grey(0.25) @ [90, 90, 90], 90)
    True
    """
    cosine, sine = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
    rotation = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    return _FROM_YIQ @ rotation @ _TO_YIQ
