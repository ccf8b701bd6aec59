"""A trained network that labels pictures."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fullconv.bundle import load_bundle
from fullconv.data.pictures import load_upright, read_picture, to_rgb
from fullconv.devices import Precision, pick_device, pick_precision
from fullconv.drawing import overlay
from fullconv.errors import InputError
from fullconv.evaluation import label_map_of, picture_logits
from fullconv.labels import VOC, LabelSet
from fullconv.preprocessing import Preprocessing


class Prediction:
    """The labels of one picture, and the scores they come from.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        logits: (K, H, W) float32.
        labels: the classes.
    """

    def __init__(self, picture: np.ndarray, logits: torch.Tensor, labels: LabelSet) -> None:
        self.picture = picture
        self.logits = logits
        self.labels = labels

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
    """

    def __init__(
        self,
        model: nn.Module,
        labels: LabelSet | None = None,
        preprocessing: Preprocessing | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        self.precision: Precision = pick_precision(precision, self.device)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.labels = labels or default_labels(int(model.num_classes))  # pyright: ignore[reportArgumentType]
        self.preprocessing = preprocessing or Preprocessing()

    def predict(self, source: str | Path | Image.Image | np.ndarray) -> Prediction:
        """Labels one picture.

        Args:
            source: a file, a PIL image, or an (H, W, 3) uint8 RGB array.

        Raises:
            PictureError: the file cannot be read.
            InputError: an array of another shape or type.
        """
        picture = as_picture(source)
        logits = picture_logits(self.model, picture, self.preprocessing, self.device, self.precision)
        return Prediction(picture, logits, self.labels)


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


def load(model: str | Path, device: str = "auto", precision: str = "auto") -> Segmenter:
    """A segmenter from a run folder or a bundle folder.

    Raises:
        BundleError: nothing there, incomplete or damaged.
    """
    bundle = load_bundle(model)
    return Segmenter(bundle.model, bundle.labels, bundle.preprocessing, device, precision)
