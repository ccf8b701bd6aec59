"""A trained network that labels pictures."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fullconv.bundle import load_bundle
from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.pictures import load_upright, read_picture, to_rgb
from fullconv.devices import Precision, pick_device, pick_precision
from fullconv.drawing import overlay
from fullconv.errors import ConfigError, InputError
from fullconv.evaluation import Refine, crf_refined, label_map_of, picture_logits
from fullconv.inference.windows import AveragedWindows
from fullconv.labels import VOC, Head, LabelSet, head_sizes
from fullconv.models.caffe import CAFFE_PREPROCESSING, CaffeAlexNet, CaffeFCN
from fullconv.preprocessing import Preprocessing


class Prediction:
    """The labels of one picture, and the scores they come from.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        logits: (K, H, W) float32; after `refine="crf"` log-probabilities.
        labels: the classes.
        heads: by name, what a network with several heads says beside.
    """

    def __init__(
        self,
        picture: np.ndarray,
        logits: torch.Tensor,
        labels: LabelSet,
        heads: "dict[str, Prediction] | None" = None,
    ) -> None:
        self.picture = picture
        self.logits = logits
        self.labels = labels
        self.heads = heads or {}

    @cached_property
    def label_map(self) -> np.ndarray:
        """(H, W) class ids, uint8, or uint16 above 255 classes."""
        return label_map_of(self.logits)

    def scores(self) -> np.ndarray:
        """(K, H, W) float32 softmax scores; they sum to 1 at every pixel."""
        return self.logits.softmax(dim=0).cpu().numpy()

    def overlay(self, opacity: float = 0.55, legend: bool = True) -> Image.Image:
        """The picture with its classes in colour; `opacity` in 0..1."""
        return overlay(self.picture, self.label_map, self.labels, opacity=opacity, legend=legend)

    def fractions(self) -> dict[str, float]:
        """The share of the picture that each predicted class has, largest first; absent classes are left out."""
        counts = np.bincount(self.label_map.ravel(), minlength=self.labels.num_classes)
        order = np.argsort(-counts, kind="stable")
        return {self.labels.names[i]: float(counts[i] / self.label_map.size) for i in order if counts[i]}


class Segmenter:
    """Labels every pixel of pictures of any size.

    Args:
        model: (N, 3, H, W) normalised pictures to logits (N, K, H, W).
        labels: the classes; without, VOC's where there are 21, else "class_0", "class_1", ...
        preprocessing: normalisation; without, ImageNet's.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "fp32" or "bf16".
        tile: None for the whole picture in one pass; a side or (height, width), multiples of 32, for windows of that
            size that cover the picture, their logits averaged where they overlap (see `inference.windows`).
        refine: "crf" lets a dense CRF draw the borders anew along the picture's own (see `ops.crf`).
        heads: the further heads, whose logits follow those of `labels`.
        extra: how files of the model's further channels are read; None for a model of RGB alone.

    Raises:
        InputError: a tile side that is no multiple of 32.
        ConfigError: a device, precision or refinement that does not exist.
    """

    def __init__(
        self,
        model: nn.Module,
        labels: LabelSet | None = None,
        preprocessing: Preprocessing | None = None,
        device: str = "auto",
        precision: str = "auto",
        tile: int | tuple[int, int] | None = None,
        refine: Refine = "none",
        heads: Sequence[Head] = (),
        extra: ExtraFormat | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.precision: Precision = pick_precision(precision, self.device)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.labels = labels or default_labels(int(model.num_classes))  # pyright: ignore[reportArgumentType]
        self.preprocessing = preprocessing or default_preprocessing(model)
        self.heads = tuple(heads)
        self.extra = extra
        window_hw = (tile, tile) if isinstance(tile, int) else tile
        self.network = self.model if window_hw is None else AveragedWindows(self.model, window_hw)
        if refine not in ("none", "crf"):
            raise ConfigError(f"refine is {refine!r}; expected 'none' or 'crf'")
        self.refine = refine

    def predict(
        self, source: str | Path | Image.Image | np.ndarray, extra: str | Path | np.ndarray | None = None
    ) -> Prediction:
        """Labels one picture.

        Args:
            source: a file, a PIL image, or an (H, W, 3) uint8 RGB array.
            extra: for a model of more than RGB, the file of the further channels, or an (H, W, m) uint8 array.

        Raises:
            PictureError: the file cannot be read.
            DataError: further channels that are not as the model expects them.
            InputError: an array of another shape or type; further channels missing, of another size, or not wanted.
        """
        picture = as_picture(source)
        channels = np.concatenate([picture, *self.further_channels(picture, extra)], axis=2)
        logits = picture_logits(self.network, channels, self.preprocessing, self.device, self.precision)
        sizes = head_sizes(self.labels, self.heads)
        first, *others = (
            crf_refined(part, picture) if self.refine == "crf" else part for part in logits.split(sizes)
        )
        heads = {
            head.name: Prediction(picture, part, head.labels)
            for head, part in zip(self.heads, others, strict=True)
        }
        return Prediction(picture, first, self.labels, heads)

    def further_channels(
        self, picture: np.ndarray, extra: str | Path | np.ndarray | None
    ) -> list[np.ndarray]:
        """What is put behind RGB: nothing, or one (H, W, m) uint8 array."""
        wanted = self.preprocessing.num_channels - 3
        if wanted == 0 and extra is None:
            return []
        if extra is None:
            raise InputError(
                f"the model takes {wanted} further channel(s) behind RGB; got the picture alone; give their file too"
            )
        if isinstance(extra, np.ndarray):
            found, channels = "the array", extra
        else:
            found, channels = str(extra), read_extra(extra, self.extra or ExtraFormat(wanted))
        if channels.dtype != np.uint8 or channels.shape != (*picture.shape[:2], wanted):
            raise InputError(
                f"{found} holds further channels, {channels.dtype} of shape {channels.shape}; expected uint8 "
                f"{(*picture.shape[:2], wanted)}, as large as the picture"
            )
        return [channels]


def default_preprocessing(model: nn.Module) -> Preprocessing:
    """Caffe's for the papers' networks, else ImageNet's."""
    return CAFFE_PREPROCESSING if isinstance(model, CaffeFCN | CaffeAlexNet) else Preprocessing()


def as_picture(source: str | Path | Image.Image | np.ndarray) -> np.ndarray:
    if isinstance(source, str | Path):
        return read_picture(Path(source))
    if isinstance(source, Image.Image):
        return to_rgb(load_upright(source, "the picture"))
    if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
        raise InputError(
            f"the picture is {source.dtype} of shape {source.shape}; expected uint8 (H, W, 3) RGB"
        )
    return source


def default_labels(num_classes: int) -> LabelSet:
    return (
        VOC
        if num_classes == VOC.num_classes
        else LabelSet.from_names([f"class_{i}" for i in range(num_classes)])
    )


def load(
    model: str | Path,
    device: str = "auto",
    precision: str = "auto",
    tile: int | tuple[int, int] | None = None,
    refine: Refine = "none",
) -> Segmenter:
    """A segmenter from a run folder or a bundle folder; the options are those of `Segmenter`.

    Raises:
        BundleError: nothing there, incomplete or damaged.
    """
    bundle = load_bundle(model)
    return Segmenter(
        bundle.model,
        bundle.labels,
        bundle.preprocessing,
        device,
        precision,
        tile,
        refine,
        bundle.heads,
        bundle.extra,
    )
