"""The whole network as one graph: normalised pictures of any size in, logits or labels of their pixels out.

Scores are placed in the graph by the same arithmetic as here (`ops.bilinear`): an interpolation matrix for each axis, reckoned
from the picture's size in whole numbers. Nothing about the size is a constant.
"""

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from fullconv.labels import Head
from fullconv.models.fcn import FCN, at_least
from fullconv.models.scoring import ScoreMapsFunction
from fullconv.ops.argmax import label_dtype

IMAGE = "image"


class Whole(nn.Module):
    """A network from pictures to what is exported.

    Args:
        model: (N, C, H, W) to logits (N, K, H, W), in eval mode.
        sizes: the number of classes of each head.
        as_labels: labels instead of logits.
        convolutions: of an FCN, what stands in for `FCN.score_maps`.
    """

    def __init__(
        self,
        model: nn.Module,
        sizes: Sequence[int],
        as_labels: bool,
        convolutions: ScoreMapsFunction | None = None,
    ) -> None:
        super().__init__()
        self.model = model if convolutions is None else without_convolutions(model)
        self.smallest = smallest_of(model)
        self.sizes = list(sizes)
        self.as_labels = as_labels
        self.convolutions = convolutions

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, C, H, W) float32 to the logits (N, K, H, W) of all heads, or to the labels (N, H, W) of each."""
        if self.convolutions is None:
            return outputs(self.model(image), self.sizes, self.as_labels)
        assert isinstance(self.model, FCN)
        maps = self.convolutions(at_least(image, self.smallest))
        return outputs(logits_of(self.model, maps, image), self.sizes, self.as_labels)


class Tail(nn.Module):
    """What follows an FCN's score maps, for an engine that computed these.

    Args:
        model, sizes, as_labels: as of `Whole`.
        smallest: the least height and width that the engine takes.
    """

    def __init__(self, model: FCN, sizes: Sequence[int], as_labels: bool, smallest: int) -> None:
        super().__init__()
        self.model = without_convolutions(model)
        self.smallest = smallest
        self.sizes = list(sizes)
        self.as_labels = as_labels

    def forward(self, image: Tensor, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Pictures and their score maps to the pictures that the convolutions shall see, and to the outputs of `Whole`."""
        logits = logits_of(self.model, maps, image)
        return (at_least(image, self.smallest).clone(), *outputs(logits, self.sizes, self.as_labels))


def without_convolutions(model: nn.Module) -> nn.Module:
    """A copy of an FCN that can fuse and upsample, and has no other weights than those for that."""
    assert isinstance(model, FCN)
    bare = copy.copy(model)
    bare._modules = {"upscore": model.upscore}
    return bare


def smallest_of(model: nn.Module) -> int:
    """The least height and width that an FCN's convolutions take; others take any size."""
    return model.backbone.smallest if isinstance(model, FCN) else 1


def logits_of(model: nn.Module, maps: Sequence[Tensor], image: Tensor) -> Tensor:
    """The score maps that an FCN has of each stride to (N, K, H, W), in float32."""
    assert isinstance(model, FCN)
    fused = model.fused([scores.float() for scores in maps])
    return model.upsampled(fused, model.stride, image.shape[2:])


def outputs(logits: Tensor, sizes: Sequence[int], as_labels: bool) -> tuple[Tensor, ...]:
    """(N, K, H, W) logits as they are, or the class ids of each head, (N, H, W) uint8, or uint16 above 255 classes."""
    if not as_labels:
        return (logits,)
    return tuple(
        head.argmax(dim=1).to(label_dtype(head.shape[1])) for head in logits.split(list(sizes), dim=1)
    )


def output_names(heads: Sequence[Head], as_labels: bool) -> list[str]:
    """
    >>> output_names([], as_labels=False), output_names([], as_labels=True)
    (['logits'], ['labels'])
    """
    return ["labels", *(f"labels_{head.name}" for head in heads)] if as_labels else ["logits"]
