"""Test-time augmentation: the mean of what a network says of a picture, of its mirror image, and of other sizes."""

import torch.nn.functional as F
from torch import Tensor

from fullconv.devices import Precision
from fullconv.errors import ConfigError
from fullconv.inference.engines import Engine
from fullconv.ops.score_map import ScoreMap

AUGMENTATIONS = {
    "none": [(1.0, False)],
    "flip": [(1.0, False), (1.0, True)],
    "flip+scales": [(scale, flipped) for scale in (0.75, 1.0, 1.25) for flipped in (False, True)],
}
"""Name -> (factor on height and width, mirrored) of each pass."""


class Augmented:
    """An engine that runs another one several times and averages the softmax scores.

    Args:
        engine: runs the network.
        passes: (scale, mirrored) of each pass.
    """

    def __init__(self, engine: Engine, passes: list[tuple[float, bool]]) -> None:
        self.engine = engine
        self.passes = passes
        self.name = engine.name
        self.device = engine.device
        self.precision: Precision = engine.precision

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        """Full-size score maps whose softmax is the mean of the passes' softmax scores."""
        total: list[Tensor] = []
        for scale, mirrored in self.passes:
            scores = [each.softmax(dim=0) for each in self.one_pass(pictures, scale, mirrored)]
            total = [a.add_(b) for a, b in zip(total, scores, strict=True)] if total else scores
        return [ScoreMap.of_pixels((each / len(self.passes)).log_()) for each in total]

    def one_pass(self, pictures: Tensor, scale: float, mirrored: bool) -> list[Tensor]:
        """(K, H, W) logits of each picture, as seen larger, smaller or in a mirror."""
        size_hw = pictures.shape[2:]
        seen = pictures.flip(3) if mirrored else pictures
        if scale != 1:
            wanted = [max(1, round(size * scale)) for size in size_hw]
            seen = F.interpolate(seen, size=wanted, mode="bilinear", antialias=scale < 1)
        logits = [score_map.logits() for score_map in self.engine(seen)]
        if scale != 1:
            logits = [F.interpolate(each[None], size=size_hw, mode="bilinear")[0] for each in logits]
        return [each.flip(2) if mirrored else each for each in logits]


def augmented(engine: Engine, name: str) -> Engine:
    """The engine with test-time augmentation `name`, one of `AUGMENTATIONS`.

    Raises:
        ConfigError: no such augmentation.
    """
    if name not in AUGMENTATIONS:
        raise ConfigError(f"tta is {name!r}; expected one of {', '.join(AUGMENTATIONS)}")
    return engine if name == "none" else Augmented(engine, AUGMENTATIONS[name])
