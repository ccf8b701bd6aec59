"""What labelling a picture window by window costs, against fully convolutional networks with the same weights.

    python benchmarks/patchwise.py [DATA]

DATA: a data set's folder, whose first validation picture is taken; without, a drawn scene of 360 x 480. Random weights: time does
not depend on them. Medians and spreads (interquartile range) of one run, float32; compared ways give equally many scores.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from common import machine, timed
from fullconv.data.dataset import open_dataset
from fullconv.data.pictures import read_picture
from fullconv.data.scenes import draw_scene
from fullconv.models.convolutionalize import convolutionalize
from fullconv.models.describe import describe_model
from fullconv.models.patchwise import Patchwise, SlidingClassifier, all_windows, padding
from fullconv.preprocessing import Preprocessing

ALEXNET_GRID, OWN_WINDOW, STRIDE = 10, 224, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    data = parser.parse_args().data
    print(machine())
    if data is None:
        pixels = draw_scene(seed=0, index=0, size_hw=(360, 480))[0]
    else:
        pixels = read_picture(open_dataset(data).split("val")[0].picture)
    picture = Preprocessing()(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    torch.manual_seed(0)
    with torch.inference_mode():
        small_window(picture)
        own_window(picture)
        alexnet()


def small_window(picture: Tensor) -> None:
    """A score for every pixel from the 15x15 pixels around it, by cutting windows and by dilated convolutions."""
    model = Patchwise(num_classes=11).eval().to(memory_format=torch.channels_last)
    print(f"\n{model.window}x{model.window} window at each pixel of {size(picture)}")
    sliding = shown("windows cut out and classified", lambda: model.sliding(picture), repeats=3)
    shown("fully convolutional", lambda: model.dense(picture), base=sliding)
    apart = (model.sliding(picture) - model.dense(picture)).abs().max()
    print(f"    largest difference between the two: {apart:.1e}")

    windows, pixels = all_windows(picture, model.window), picture.shape[2] * picture.shape[3]
    stored, own = 4 * windows.numel(), 4 * picture.numel()
    print(
        f"    storage: all windows {stored / 1e6:.0f} MB, picture {own / 1e6:.2f} MB: {stored / own:.0f} times"
    )
    per_window = multiply_adds(lambda: model.classify(windows[:, 0, 0]))
    per_pixel = multiply_adds(lambda: model.dense(picture)) / pixels
    print(
        f"    multiply-adds a pixel: window {per_window:,.0f}, fully convolutional {per_pixel:,.0f}: "
        f"{per_window / per_pixel:.1f} times"
    )
    seen = describe_model("fcn8s", "torchvision/mobilenet_v2", 11)["receptive_field"]
    print(f"    receptive field: {model.window} pixels; FCN-8s over MobileNetV2: {seen}")


def own_window(picture: Tensor) -> None:
    """A classifier's own window slid with stride 32 against the same classifier made fully convolutional."""
    classifier = torchvision.models.mobilenet_v2(weights=None).eval().to(memory_format=torch.channels_last)
    slid = SlidingClassifier(classifier, 1000, OWN_WINDOW, STRIDE)
    dense = convolutionalize(classifier).to(memory_format=torch.channels_last)
    before, behind = padding(OWN_WINDOW, STRIDE)
    below, right = (-picture.shape[2] % STRIDE, -picture.shape[3] % STRIDE)
    padded = nn.functional.pad(picture, (before, behind + right, before, behind + below))
    rows, columns = dense(padded).shape[2:]
    assert (rows, columns) == all_windows(picture, OWN_WINDOW, STRIDE).shape[1:3]
    print(f"\nMobileNetV2's own {OWN_WINDOW}x{OWN_WINDOW} window, every {STRIDE} pixels of {size(picture)}")
    windows = shown("windows cut out and classified, 16 at once", lambda: slid(picture), repeats=3)
    shown("fully convolutional", lambda: dense(padded), base=windows)
    hours = windows / (rows * columns) * picture.shape[2] * picture.shape[3] / 3.6e6
    print(f"    at every pixel, extrapolated: {hours:.1f} h a picture; {rows} x {columns} scores above")


def alexnet() -> None:
    """The paper's experiment (section 3.1): a 10 x 10 grid of AlexNet's scores in one pass, against 100 windows.

    The sides differ a little from the paper's 227 and 500, because torchvision's AlexNet pads and its pooling rounds down.
    """
    classifier = torchvision.models.alexnet(weights=None).eval()
    dense = convolutionalize(classifier)
    side = next(s for s in range(OWN_WINDOW, 1000) if dense(torch.zeros(1, 3, s, s)).shape[2] == ALEXNET_GRID)
    picture, window = torch.randn(1, 3, side, side), torch.randn(1, 3, OWN_WINDOW, OWN_WINDOW)
    batch = window.expand(ALEXNET_GRID**2, -1, -1, -1).contiguous()
    print(f"\nAlexNet, {ALEXNET_GRID} x {ALEXNET_GRID} scores from {size(picture)}")
    grid = shown("fully convolutional", lambda: dense(picture))
    together = shown(f"{ALEXNET_GRID**2} windows in one batch", lambda: classifier(batch), repeats=3)
    alone = shown("one window alone", lambda: classifier(window), repeats=15)
    print(
        f"    batched windows take {together / grid:.1f} times as long (paper: over 5), "
        f"one by one {ALEXNET_GRID**2 * alone / grid:.1f} times (paper: nearly 25)"
    )


def shown(name: str, work: Callable[[], Any], repeats: int = 7, base: float | None = None) -> float:
    """Prints a row and returns the median in milliseconds; with `base`, also how often the row goes into it."""
    median, spread = timed(work, repeats)
    print(
        f"    {name:42} {median:9.1f} ms ±{spread:.1f}" + (f"   {base / median:.1f}x" if base else ""),
        flush=True,
    )
    return median


def multiply_adds(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 2


def size(picture: Tensor) -> str:
    return f"{picture.shape[2]} x {picture.shape[3]}"


if __name__ == "__main__":
    main()
