"""Post-training quantisation to int8 with NNCF: calibrated on pictures, measured against float32 on others."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
from torch import Tensor

from fullconv.data.samples import Sample, read_sample
from fullconv.inference.engines import Engine
from fullconv.inference.engines.openvino_engine import SMALL, OpenVinoEngine, openvino_model
from fullconv.inference.engines.packages import imported, quiet
from fullconv.labels import LabelSet
from fullconv.metrics import Confusion
from fullconv.models.fcn import FCN, at_least
from fullconv.preprocessing import Preprocessing

LARGEST = 1024
"""Of larger pictures the middle is calibrated on: all activations of a picture are in memory at once."""

NUM_FLOAT = (0, 1, 3, 6)
"""How many of the first convolutions may stay in float32. In MobileNets the first few lose most: on CamVid, with
MobileNetV2, 97.9 % of the pixels kept their label with none of them in float32, 98.5 % with 1, 99.3 % with 3."""

ENOUGH = 0.99
"""The share of the calibration pictures' pixels that shall keep their label."""


class Calibration:
    """Pictures, and how float32 labels them.

    Args:
        engine: float32.
        samples: the pictures, at their own sizes.
        labels: the classes of their masks.
        sizes: the number of classes of each head; the first is that of `labels`.

    Raises:
        PictureError, DataError: a file that cannot be used, named.
    """

    def __init__(
        self,
        engine: OpenVinoEngine,
        samples: Sequence[Sample],
        labels: LabelSet,
        preprocessing: Preprocessing,
        sizes: Sequence[int],
    ) -> None:
        self.engine = engine
        self.samples = list(samples)
        self.labels = labels
        self.preprocessing = preprocessing
        self.sizes = sizes
        self.label_maps = [label_maps(engine, self.read(sample), sizes) for sample in samples]

    def read(self, sample: Sample) -> Tensor:
        """(1, C, H, W) float32, normalised."""
        picture, _ = read_sample(sample, self.labels)
        return self.preprocessing.of_picture(middle(picture, LARGEST))

    def agreement(self, engine: OpenVinoEngine) -> float:
        """The share of pixels that an engine labels as float32 does, over all heads."""
        shares = [
            share_equal(label_maps(engine, self.read(sample), self.sizes), wanted)
            for sample, wanted in zip(self.samples, self.label_maps, strict=True)
        ]
        return sum(shares) / len(shares)


def label_maps(engine: Engine, pictures: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """(1, C, H, W) to the label map (H, W) of each head."""
    (score_map,) = engine(pictures)
    return [part.labels() for part in score_map.split(sizes)]


def share_equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Of the pixels of several label maps, the share with equal labels.

    >>> import torch
    >>> share_equal([torch.tensor([1, 2])], [torch.tensor([1, 3])])
    0.5
    """
    equal = [float((one == other).float().mean()) for one, other in zip(some, others, strict=True)]
    return sum(equal) / len(equal)


def quantized(calibration: Calibration, told: Callable[[str], None]) -> tuple[Any, int]:
    """The convolutions with int8 weights and activations.

    Weights are symmetric, activations asymmetric where they can be negative (NNCF's preset MIXED). Of the first convolutions
    as few stay in float32 as `ENOUGH` takes, of the numbers in `NUM_FLOAT`; where none is enough, those that keep most labels.

    Args:
        told: called with what was tried and what came of it.

    Returns:
        An openvino.Model, and how many convolutions stayed in float32.

    Raises:
        ConfigError: OpenVINO or NNCF is not installed.
    """
    model = calibration.engine.model
    best, most = (None, 0), -1.0
    for num_float in NUM_FLOAT:
        network = with_int8(model, calibration, num_float)
        agreement = calibration.agreement(OpenVinoEngine(model, "int8", network))
        told(
            f"first convolutions in fp32: {num_float}, pixels that keep their label: {100 * agreement:.2f} %"
        )
        if agreement > most:
            best, most = (network, num_float), agreement
        if agreement >= ENOUGH:
            break
    return best


def with_int8(model: FCN, calibration: Calibration, num_float: int) -> Any:
    """An openvino.Model of all but the first `num_float` convolutions in int8."""
    nncf = imported("nncf")
    network = openvino_model(model)
    convolutions = [
        node.get_friendly_name()
        for node in network.get_ordered_ops()
        if node.get_type_name() in ("Convolution", "GroupConvolution")
    ]

    def activations(sample: Sample) -> np.ndarray:
        return at_least(calibration.read(sample), max(SMALL, model.backbone.smallest)).contiguous().numpy()

    with quiet():
        return nncf.quantize(
            network,
            nncf.Dataset(calibration.samples, activations),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(calibration.samples),
            ignored_scope=nncf.IgnoredScope(names=convolutions[:num_float]),
        )


def middle(picture: np.ndarray, side: int) -> np.ndarray:
    """The middle of (H, W, C), at most `side` high and wide.

    >>> middle(np.zeros((10, 3, 1)), 4).shape
    (4, 3, 1)
    """
    top, left = (max(0, (size - side) // 2) for size in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """`count` samples, evenly spread; all where there are fewer."""
    count = min(count, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def compare(
    engines: tuple[Engine, Engine],
    samples: Sequence[Sample],
    labels: LabelSet,
    preprocessing: Preprocessing,
    sizes: Sequence[int],
    seen: Callable[[], None],
) -> dict[str, Any]:
    """What two precisions say of the same pictures, and how long they take.

    Args:
        engines: float32 and int8.
        labels: the classes of `Sample.mask`.
        sizes: the number of classes of each head; the first is that of `labels`.
        seen: called after each sample.

    Returns:
        `num_images`; by precision, `mean_iou` of the first head and `seconds_per_image`, the median from a picture in memory
        to its labels; and `label_agreement`, the share of pixels that both label alike, over all heads.
    """
    confusions = [Confusion(labels.num_classes) for _ in engines]
    seconds: tuple[list[float], ...] = ([], [])
    shares = []
    for sample in samples:
        picture, truth = read_sample(sample, labels)
        pictures = preprocessing.of_picture(picture)
        found = []
        for engine, confusion, times in zip(engines, confusions, seconds, strict=True):
            began = time.perf_counter()
            found.append(label_maps(engine, pictures, sizes))
            times.append(time.perf_counter() - began)
            confusion.update(found[-1][0].numpy(), truth)
        shares.append((share_equal(*found), truth.size))
        seen()
    names = [engine.precision for engine in engines]
    return {
        "num_images": len(samples),
        "mean_iou": {name: each.mean_iou for name, each in zip(names, confusions, strict=True)},
        "label_agreement": sum(share * size for share, size in shares) / sum(size for _, size in shares),
        "seconds_per_image": {name: median(each) for name, each in zip(names, seconds, strict=True)},
    }
