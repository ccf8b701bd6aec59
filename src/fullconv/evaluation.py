"""Labelling whole pictures at their native size, and measuring it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from fullconv.data.dataset import Sample
from fullconv.data.loading import read_sample
from fullconv.devices import Precision, autocast
from fullconv.labels import LabelSet
from fullconv.metrics import Confusion
from fullconv.preprocessing import Preprocessing


def picture_logits(
    model: nn.Module,
    picture: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
    precision: Precision,
) -> torch.Tensor:
    """The scores of every pixel of one picture.

    Args:
        model: in eval mode, on `device`.
        picture: (H, W, 3) uint8 RGB, any size.

    Returns:
        (K, H, W) float32 on `device`.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]  # (1, 3, H, W)
    with torch.inference_mode(), autocast(device, precision):
        return model(preprocessing(pixels, device))[0].float()


def label_map_of(logits: torch.Tensor) -> np.ndarray:
    """(K, H, W) logits to (H, W) class ids, uint8, or uint16 above 255 classes; of equal scores the first class wins."""
    labels = logits.argmax(dim=0)
    return labels.to(torch.uint8 if logits.shape[0] <= 255 else torch.uint16).cpu().numpy()


def evaluate(
    model: nn.Module,
    samples: Sequence[Sample],
    labels: LabelSet,
    preprocessing: Preprocessing,
    device: torch.device,
    precision: Precision,
    seen: Callable[[int, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
) -> Confusion:
    """Predicts every sample at its native size and counts, over the whole split, what was taken for what.

    Args:
        model: put in eval mode; left in the mode it was in.
        samples: pictures with masks.
        seen: called after each sample with (index, picture, predicted label map, truth).

    Raises:
        PictureError, DataError: a file that cannot be used, named.
    """
    confusion = Confusion(labels.num_classes)
    was_training = model.training
    model.eval()
    try:
        for index, sample in enumerate(samples):
            picture, truth = read_sample(sample, labels)
            label_map = label_map_of(picture_logits(model, picture, preprocessing, device, precision))
            confusion.update(label_map, truth)
            if seen is not None:
                seen(index, picture, label_map, truth)
    finally:
        model.train(was_training)
    return confusion
