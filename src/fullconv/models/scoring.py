"""What a network says of pictures, as coarse as it knows it."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from fullconv.models.fcn import FCN, at_least
from fullconv.ops.score_map import ScoreMap

ScoreMapsFunction = Callable[[Tensor], Sequence[Tensor]]


def score_maps_of(
    model: nn.Module, pictures: Tensor, convolutions: ScoreMapsFunction | None = None
) -> list[ScoreMap]:
    """The score map of each picture.

    Args:
        model: (N, C, H, W) to logits (N, K, H, W), in eval mode.
        pictures: (N, C, H, W) float, normalised, on the model's device.
        convolutions: what stands in for `FCN.score_maps`, such as the same network in another engine.

    Returns:
        N maps; those of an FCN with fixed upsampling are of its own stride, all others full size.
    """
    size_hw = (pictures.shape[2], pictures.shape[3])
    if not isinstance(model, FCN):
        return [ScoreMap.of_pixels(logits) for logits in model(pictures).float()]
    maps = (convolutions or model.score_maps)(at_least(pictures, model.backbone.smallest))
    fused = model.fused([scores.float() for scores in maps])
    if model.upscore:
        return [ScoreMap.of_pixels(logits) for logits in model.upsampled(fused, model.stride, size_hw)]
    return [ScoreMap(scores, model.placements[model.stride], size_hw) for scores in fused]
