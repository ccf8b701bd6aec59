"""Classifiers as dense predictors: the same weights, slid over pictures of any size in one pass.

A convolutional classifier is a trunk, whose feature maps grow with the picture, and a tail, which pools or flattens the last
map and scores it. The trunk is kept as it is. The tail is taken through the window that it sees at the classifier's own size:

    Linear after a flattened k x k map       Conv2d k x k
    global pooling                           pooling over the k x k cells that there are at that size, stride 1
    Linear after global pooling or Linear    Conv2d 1 x 1
    anything else on a vector                the same layer, at every cell

Source: Long, Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 3.1;
Sermanet et al., "OverFeat", ICLR 2014, section 3.5.
"""

import copy
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from fullconv.errors import InputError
from fullconv.models.tail_rules import rebuilt
from fullconv.models.tails import Tail
from fullconv.ops.bilinear import Placement, upsample
from fullconv.ops.geometry import PIXELS, Geometry
from fullconv.ops.places import Place, place_of
from fullconv.ops.tracing import PlaceMode, evaluating

WINDOWS = {"Inception3": 299}
"""The classifiers of torchvision that were not trained at 224 x 224 and can be told by their class."""


class DenseClassifier(nn.Module):
    """A classifier that scores a window around every cell of its last feature map; made by `convolutionalize`.

    Attributes:
        network: the trunk and the convolutional tail; the names of the layers are the classifier's.
        num_classes: K.
        window_hw: the classifier's own picture size; the smallest that is taken.
        geometry_hw: where the cells lie on the picture, along rows and columns (see `ops.geometry`).
        step: 1, or 32 for a network that takes only sizes of window + 32 * n: pictures are extended to such a size by zeros.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        window_hw: tuple[int, int],
        geometry_hw: tuple[Geometry, Geometry],
        step: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes
        self.window_hw = window_hw
        self.geometry_hw = geometry_hw
        self.step = step

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures, at least `window_hw`, to logits (N, K, h, w), one cell per stride.

        Raises:
            InputError: the pictures are smaller than the window.
        """
        height, width = pictures.shape[2:]
        if height < self.window_hw[0] or width < self.window_hw[1]:
            raise InputError(
                f"the picture is {height} x {width}; this classifier's window is {self.window_hw[0]} x {self.window_hw[1]}: "
                "enlarge the picture, or convolutionalize with a smaller input_size"
            )
        below, right = -(height - self.window_hw[0]) % self.step, -(width - self.window_hw[1]) % self.step
        return self.network(F.pad(pictures, (0, right, 0, below)) if below or right else pictures)

    def on_pixels(self, maps: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """Maps (N, K, h, w) of any value per cell on the pixels of the picture they come from: (N, K, H, W).

        Each cell is put where its receptive field has its centre; between cells bilinear, beyond them constant.
        """
        rows, columns = (Placement.between(axis, PIXELS) for axis in self.geometry_hw)
        return upsample(maps, (rows, columns), size_hw)


def convolutionalize(
    classifier: nn.Module, input_size: int | tuple[int, int] | None = None
) -> DenseClassifier:
    """A dense predictor with a classifier's weights: pictures of any size to maps of class scores.

    What equals what, with s the stride, `window` the classifier's own size, k x k the map that its tail sees there, all in
    eval mode:

    - At the window's size the map is 1 x 1 and is the classifier's logits.
    - At any size, cell (i, j) is the classifier's tail on cells i..i+k-1, j..j+k-1 of the trunk's map of the whole picture.
    - Cell (i, j) is the classifier's answer to the crop of the window's size at `(s*i, s*j)` if the trunk pads nothing.
      A trunk that pads shows each crop a frame of zeros where the map has seen the picture go on. The two then differ by
      what that frame does to the answer, and by nothing else; the map is the answer without the frame. It can be much:
      on one photograph, the logits of cells and crops correlated with 0.95 for a SqueezeNet and with 0.58 for a
      MobileNetV2 (medians), and their first classes agreed in 60 and 40 of 100 places.
    - There are (size - window) / s + 1 cells along an axis, rounded down if the trunk pads nothing; padding can add one
      more, whose window hangs over the picture's end by less than s.
    - Shifting a picture by s pixels shifts the map by one cell, exactly, for the cells whose receptive field lies inside
      the picture before and after.

    The crops and the shifts do not go with a trunk that looks at the whole picture at once (squeeze-and-excitation,
    attention, group or layer norm over space): its features at one place change with what is elsewhere.

    Args:
        classifier: ends in pooling, flattening and layers on vectors, from torchvision, timm or elsewhere; takes
            (N, 3, H, W) and returns (N, K). Not changed: all weights are copied.
        input_size: the window as side or (height, width); without, timm's `input_size`, 299 for Inception v3, else 224.

    Returns:
        The dense predictor, in eval mode, with dtype and device of the classifier.

    Raises:
        InputError: the classifier cannot be converted (tokens with a class token, embeddings of fixed size, ...); the
            message names the layer.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    >>> dense = convolutionalize(net, input_size=31)
    >>> dense(torch.zeros(1, 3, 31, 31)).shape, dense(torch.zeros(1, 3, 40, 61)).shape
    (torch.Size([1, 5, 1, 1]), torch.Size([1, 5, 5, 16]))
    >>> dense.geometry_hw[0]
    Geometry(stride=2, offset=15, receptive_field=31)
    """
    window_hw = window_of(classifier, input_size)
    picture = noise_for(classifier, window_hw)
    want = logits_of(classifier, picture)
    copied = copy.deepcopy(classifier).eval()
    try:
        # A size that divides by nothing: what takes it takes all.
        step, larger = 1, noise_for(classifier, (window_hw[0] + 67, window_hw[1] + 71))
        tail = Tail(copied, picture, larger)
    except InputError:
        step, larger = 32, noise_for(classifier, (window_hw[0] + 64, window_hw[1] + 96))
        tail = Tail(copied, picture, larger)
    network, columns = rebuilt(tail)
    geometry_hw = geometry_of(network, columns, picture, tail.cells_hw())
    dense = DenseClassifier(network, want.shape[1], window_hw, geometry_hw, step).eval()
    check_logits(dense, picture, want)
    return dense


def check_logits(dense: DenseClassifier, picture: Tensor, want: Tensor) -> None:
    """The last line of defence against an operation that was not understood."""
    with torch.no_grad():
        got = dense(picture)
    difference = float((got.flatten(1) - want).abs().max()) if got.numel() == want.numel() else float("inf")
    # Relative: the logits of an untrained network can be tiny.
    tolerance = max(1e-3, 16 * torch.finfo(want.dtype).eps)
    if not difference <= tolerance * float(want.abs().max()):
        raise InputError(
            f"the classifier cannot be made convolutional: at {dense.window_hw[0]} x {dense.window_hw[1]} the converted "
            f"network returns {tuple(got.shape)}, {difference:.2g} away from the classifier's {tuple(want.shape)}"
        )


def window_of(classifier: nn.Module, input_size: int | tuple[int, int] | None) -> tuple[int, int]:
    """The (height, width) that a classifier was made for."""
    if isinstance(input_size, int):
        input_size = (input_size, input_size)
    if input_size is not None:
        if len(input_size) != 2 or min(input_size) < 1:
            raise InputError(f"input_size is {input_size}; expected a side, or (height, width), in pixels")
        return input_size
    config: Any = getattr(classifier, "pretrained_cfg", None) or getattr(classifier, "default_cfg", None)
    if isinstance(config, dict) and config.get("input_size"):
        return config["input_size"][-2], config["input_size"][-1]
    side = WINDOWS.get(type(classifier).__name__, 224)
    return side, side


def noise_for(network: nn.Module, size_hw: tuple[int, int]) -> Tensor:
    """A picture of noise, the same each time, with the dtype and device of the network."""
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(1))
    noise = torch.randn(1, 3, *size_hw, generator=torch.Generator().manual_seed(0))
    return noise.to(dtype=like.dtype, device=like.device)


def logits_of(classifier: nn.Module, picture: Tensor) -> Tensor:
    name, size = type(classifier).__name__, f"{picture.shape[2]} x {picture.shape[3]}"
    try:
        with evaluating(classifier), torch.no_grad():
            logits = classifier(picture)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name} does not take a picture of {size} ({reason}); give its own size as input_size"
        ) from None
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        shape = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"{name} returns {shape} for a picture of {size}; expected logits (N, K)")
    return logits


def geometry_of(
    network: fx.GraphModule, columns: list[str], picture: Tensor, cells_hw: tuple[int, int]
) -> tuple[Geometry, Geometry]:
    """Where the cells lie, found by watching the dense network.

    Args:
        network: made by `rebuilt`, with the names of its `columns`.
        picture: of the classifier's own size.
        cells_hw: the cells of the trunk's last map of that picture. Where the places of its cells cannot be followed
            (attention that cuts the map into windows), a cell of the answer is taken to be in the middle of its window.
    """
    places: dict[str, Place | None] = {}

    class Watcher(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            places[n.name] = place_of(value)
            return value

    with torch.no_grad(), PlaceMode():
        watched = picture.clone()
        watched._place = Place()  # pyright: ignore[reportAttributeAccessIssue]
        Watcher(network).run(watched)
    # Layers that take the cells as a batch lose their places, but do not move them.
    known = [place for place in map(places.get, columns) if place is not None]
    if known:
        return known[-1].geometry_hw
    along_rows, along_columns = (
        Geometry(Fraction(side, cells), Fraction(side - 1, 2), Fraction(side))
        for side, cells in zip(picture.shape[2:], cells_hw, strict=True)
    )
    return along_rows, along_columns
