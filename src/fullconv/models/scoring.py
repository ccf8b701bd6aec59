"""What a network says of pictures, as coarse as it knows it."""

from torch import Tensor, nn

from fullconv.models.fcn import FCN
from fullconv.ops.score_map import ScoreMap


def gives_coarse_scores(model: nn.Module) -> bool:
    """Whether the last step of a model is bilinear upsampling, which `ScoreMap` does only where it is asked to."""
    return isinstance(model, FCN) and not model.upscore


def score_maps_of(model: nn.Module, pictures: Tensor) -> list[ScoreMap]:
    """The score map of each picture.

    Args:
        model: (N, C, H, W) to logits (N, K, H, W), in eval mode.
        pictures: (N, C, H, W) float, normalised, on the model's device.

    Returns:
        N maps; those of an FCN with fixed upsampling are of its own stride, all others full size.
    """
    size_hw = (pictures.shape[2], pictures.shape[3])
    if isinstance(model, FCN) and gives_coarse_scores(model):
        placement_hw = model.placements[model.stride]
        return [ScoreMap(scores, placement_hw, size_hw) for scores in model.scores(pictures).float()]
    return [ScoreMap.of_pixels(logits) for logits in model(pictures).float()]
