"""The patch-wise classifier that fully convolutional networks replaced, as a baseline.

To label a pixel, the window around it is cut out and classified like a picture of its own; to label a picture, that is done
at every pixel. Neighbouring windows share almost all their pixels, so they are stored again and again (a 15x15 window at every
pixel is the picture 225 times over) and convolved again and again; and nothing outside the window is seen.
`benchmarks/patchwise.py` measures it.

    Patchwise           a small network for a 15x15 window; `sliding` cuts windows, `dense` gives the same numbers without
    SlidingClassifier   any classifier with its own window, slid with a stride
    sample_patches      the windows of a few pixels drawn at random, for training

Source: Ciresan et al., "Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy Images", NIPS 2012; Long,
Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2015, sections 2, 3.1 and 3.4.
"""

from collections.abc import Callable
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.ops.bilinear import Placement, upsample
from fullconv.ops.geometry import PIXELS, Geometry

SMALLEST_WINDOW, WINDOW_STEP = 11, 4


class Patchwise(nn.Module):
    """A small network that classifies the centre of a window, for every pixel of a picture.

    Without any padding inside, so that the scores of a pixel depend on exactly the window around it. For 15x15:

        convolution 4x4   12x12    pooling 2x2   6x6
        convolution 3x3   4x4      pooling 2x2   2x2
        linear            hidden   linear        num_classes

    Around the picture are zeros: on normalised pictures, the mean colour.

    Args:
        num_classes: K, at least 1.
        window: the window's side in pixels: 11, 15, 19, ..., so that the second pooling comes out even.
        channels: of the two convolutions and the hidden layer.

    Attributes:
        stride: 1: each pixel has its own scores.

    Raises:
        InputError: another window, or fewer than one class.

    >>> model = Patchwise(num_classes=11)
    >>> model(torch.zeros(1, 3, 7, 30)).shape, model.classify(torch.zeros(5, 3, 15, 15)).shape
    (torch.Size([1, 11, 7, 30]), torch.Size([5, 11]))
    """

    def __init__(
        self, num_classes: int, window: int = 15, *, channels: tuple[int, int, int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        if window < SMALLEST_WINDOW or (window - SMALLEST_WINDOW) % WINDOW_STEP:
            raise InputError(f"the window is {window} pixels; expected 11, 15, 19 or another 4 m + 3")
        if num_classes < 1:
            raise InputError(f"num_classes is {num_classes}; expected at least 1")
        self.num_classes = num_classes
        self.window = window
        self.stride = 1
        self.cells = (window - 7) // 4
        """Rows and columns that are left of a window before the linear layers."""
        self.conv1 = nn.Conv2d(3, channels[0], kernel_size=4)
        self.conv2 = nn.Conv2d(channels[0], channels[1], kernel_size=3)
        self.hidden = nn.Linear(channels[1] * self.cells**2, channels[2])
        self.score = nn.Linear(channels[2], num_classes)
        for layer in (self.conv1, self.conv2, self.hidden):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures of any size to (N, K, H, W) logits, by `dense`: equal to `sliding`, and faster."""
        return self.dense(pictures)

    def classify(self, patches: Tensor) -> Tensor:
        """(P, 3, window, window) normalised windows to the (P, K) logits of their centres.

        Raises:
            InputError: windows of another size.
        """
        if patches.shape[2:] != (self.window, self.window):
            raise InputError(
                f"got windows of shape {tuple(patches.shape)}; expected (P, 3, {self.window}, {self.window})"
            )
        x = F.max_pool2d(F.relu(self.conv1(patches)), 2)  # (P, C, (window - 3) / 2, ...)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (P, C, cells, cells)
        return self.score(F.relu(self.hidden(x.flatten(1)))).to(self.score.weight.dtype)

    def sliding(self, pictures: Tensor, chunk: int = 2048) -> Tensor:
        """The window moved over every pixel, as patch-wise networks were run.

        Args:
            pictures: (N, 3, H, W) normalised, any size.
            chunk: windows that exist at once; memory is bounded by it.

        Returns:
            (N, K, H, W) logits.
        """
        return slide(self.classify, pictures, self.window, 1, chunk)

    def dense(self, pictures: Tensor) -> Tensor:
        """The same numbers as `sliding` from one pass: each layer runs over the whole picture, once.

        Pooling keeps every pixel, so that what a window would find two cells further on is found two pixels further on: after
        each pooling the taps of all later layers lie twice as far apart ("à trous"). The linear layers become convolutions.
        """
        x = F.pad(pictures, padding(self.window) * 2)
        x = F.max_pool2d(F.relu(self.conv1(x)), 2, stride=1)
        x = F.relu(F.conv2d(x, self.conv2.weight, self.conv2.bias, dilation=2))
        x = F.max_pool2d(x, 2, stride=1, dilation=2)
        kernel = self.hidden.weight.unflatten(1, (-1, self.cells, self.cells))
        x = F.relu(F.conv2d(x, kernel, self.hidden.bias, dilation=4))
        x = F.conv2d(x, self.score.weight[:, :, None, None], self.score.bias)  # (N, K, H, W)
        return x.to(self.score.weight.dtype)


class SlidingClassifier(nn.Module):
    """Any classifier of pictures as a segmenter: its own window slid over the picture, the scores between interpolated.

    A 224x224 window at every pixel of a 480x640 picture is the work of 300,000 pictures. The strides of fully convolutional
    networks, 8 to 32, give as many scores as those do, for comparison.

    Args:
        classifier: (P, 3, window, window) to (P, K).
        num_classes: K.
        window: its side in pixels, even or odd.
        stride: pixels between two windows, at most `window`. The outermost windows hang over the border, onto zeros.
        chunk: windows that exist at once.

    Raises:
        InputError: a stride below 1 or above the window.

    >>> means = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> SlidingClassifier(means, num_classes=3, window=9, stride=4)(torch.ones(1, 3, 30, 40)).shape
    torch.Size([1, 3, 30, 40])
    """

    def __init__(
        self, classifier: nn.Module, num_classes: int, window: int, stride: int, chunk: int = 16
    ) -> None:
        super().__init__()
        if not 1 <= stride <= window:
            raise InputError(f"the stride is {stride}; expected 1 up to the window, {window}")
        self.classifier = classifier
        self.num_classes = num_classes
        self.window = window
        self.stride = stride
        self.chunk = chunk

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures of any size to (N, K, H, W) logits."""
        scores = slide(self.classifier, pictures, self.window, self.stride, self.chunk).to(pictures.dtype)
        if self.stride == 1:
            return scores  # the pixels' own, also where an even window's centre lies between two
        offset = Fraction(self.window - 1, 2) - padding(self.window, self.stride)[0]
        place = Placement.between(Geometry(Fraction(self.stride), offset), PIXELS)
        return upsample(scores, (place, place), (pictures.shape[2], pictures.shape[3]))


def padding(window: int, stride: int = 1) -> tuple[int, int]:
    """Zeros before and behind an axis, so that each `stride` pixels have one window, its centre amid them.

    Where the last pixels of an axis fill no whole stride, `all_windows` adds the zeros that their window lacks.

    >>> padding(15), padding(224), padding(224, stride=32)
    ((7, 7), (111, 112), (96, 96))
    """
    before = (window - stride) // 2
    return before, window - stride - before


def slide(
    classify: Callable[[Tensor], Tensor], pictures: Tensor, window: int, stride: int, chunk: int
) -> Tensor:
    """Classifies the window around every pixel, or around every block of stride x stride pixels.

    Args:
        classify: (P, 3, window, window) to (P, K).
        pictures: (N, 3, H, W); zeros are put around them.
        window: its side in pixels.
        stride: pixels between two windows.
        chunk: windows that exist at once; memory is bounded by it.

    Returns:
        (N, K, ceil(H / stride), ceil(W / stride)).

    >>> slide(lambda patches: patches.mean((2, 3)), torch.ones(1, 3, 1, 4), window=3, stride=1, chunk=2)[0, 0]
    tensor([[0.2222, 0.3333, 0.3333, 0.2222]])
    """
    windows = all_windows(pictures, window, stride)
    shape = windows.shape[:3]
    every = torch.arange(shape.numel(), device=pictures.device)
    scores = [classify(windows[positions(some, shape[1], shape[2])]) for some in every.split(chunk)]
    return torch.cat(scores).unflatten(0, shape).permute(0, 3, 1, 2)


def all_windows(pictures: Tensor, window: int, stride: int = 1) -> Tensor:
    """(N, C, H, W) to a view (N, ceil(H/stride), ceil(W/stride), C, window, window) of the padded pictures; nothing is copied."""
    (before, behind), (height, width) = padding(window, stride), pictures.shape[2:]
    padded = F.pad(pictures, (before, behind + -width % stride, before, behind + -height % stride))
    return padded.unfold(2, window, stride).unfold(3, window, stride).permute(0, 2, 3, 1, 4, 5)


def positions(index: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Flat indices into (N, rows, columns) as picture, row and column."""
    # torch.unravel_index says the same, but loads sympy, which takes seconds.
    return index // (rows * columns), index // columns % rows, index % columns


def sample_patches(
    pictures: Tensor,
    labels: Tensor,
    num: int,
    window: int,
    generator: torch.Generator,
    *,
    ignore_index: int = IGNORE_INDEX,
) -> tuple[Tensor, Tensor]:
    """The windows around pixels drawn at random, and their classes: a batch for training a patch-wise classifier.

    To train on drawn windows is to train on the whole picture and draw from the terms of its loss (section 3.4 of the paper).

    Args:
        pictures: (N, 3, H, W) normalised floating point: the zeros around them stand for the mean colour.
        labels: (N, H, W) integers, class ids or `ignore_index`; only valid pixels are drawn, all alike, none twice.
        num: windows of each picture; fewer where a picture has fewer valid pixels.
        window: its side in pixels; cut as `slide` cuts at stride 1.
        generator: on the CPU; where all chance comes from.
        ignore_index: the id of void pixels.

    Returns:
        patches: (P, 3, window, window), P at most N x num, picture by picture.
        labels: (P,) int64, the class of each window's centre.

    Raises:
        InputError: pictures that are not normalised, shapes that do not belong together, fewer than one window.

    >>> labels = torch.full((2, 9, 9), 255)
    >>> labels[0, 4, 2:7] = 3
    >>> patches, ids = sample_patches(torch.zeros(2, 3, 9, 9), labels, 4, 15, torch.Generator().manual_seed(0))
    >>> patches.shape, ids.tolist()
    (torch.Size([4, 3, 15, 15]), [3, 3, 3, 3])
    """
    if not pictures.is_floating_point():
        raise InputError(f"sample_patches got {pictures.dtype} pictures; expected normalised floating point")
    if labels.shape != (pictures.shape[0], *pictures.shape[2:]):
        raise InputError(
            f"sample_patches got labels of shape {tuple(labels.shape)} for pictures of shape {tuple(pictures.shape)}"
        )
    if num < 1:
        raise InputError(f"sample_patches got num {num}; expected at least 1 window of each picture")
    drawn = []
    for index, label_map in enumerate(labels):
        valid = (label_map != ignore_index).flatten().nonzero()[:, 0]
        chosen = torch.randperm(len(valid), generator=generator)[:num].to(valid.device)
        drawn.append(valid[chosen] + index * label_map.numel())
    where = positions(torch.cat(drawn), labels.shape[1], labels.shape[2])
    return all_windows(pictures, window)[where], labels[where].long()
