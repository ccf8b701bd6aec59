"""Upsampling by transposed convolution: the bilinear kernel, the sizes, and the border that fades."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fullconv.ops.attenuation import border_weights, check_factor, faded_upsampling, normalized_upsampling
from fullconv.ops.bilinear import LearnedUpsampling, Placement, bilinear_kernel
from fullconv.ops.geometry import Window

TEXTBOOK_HW = (561, 728)
"""The size of the picture that the textbook enlarges."""

FACTORS = (2, 4, 8, 16, 32)


def upsampling_facts(stride: int = 32) -> dict[str, Any]:
    """The numbers of bilinear upsampling by transposed convolution.

    Args:
        stride: s, an even number of at least 2.

    Returns:
        JSON-able: `kernel_4` of the textbook, the size rule at `stride`, the largest differences from
        `interpolate(align_corners=False)` inside and at the border, the `weights` on edges and in corners, and what is left
        of the differences in the two border-exact variants.

    >>> facts = upsampling_facts(32)
    >>> facts["weights"]["32"]
    {'edge': 0.515625, 'corner': 0.265869140625}
    """
    check_factor(stride)
    half = stride // 2
    scores = torch.rand(1, 5, 10, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = F.interpolate(scores, scale_factor=stride, mode="bilinear", align_corners=False)
    faded = faded_upsampling(scores, stride)
    place = Placement.half_pixel(stride)
    layer = LearnedUpsampling(5, (place, place)).double()
    with torch.no_grad():
        librarys = layer(scores, (10 * stride, 15 * stride))
    down = Window(kernel=2 * stride, stride=stride, padding=half)
    up = Window(kernel=2 * stride, stride=stride, padding=half, transposed=True)
    doubled = Window(kernel=4, stride=2, padding=1, transposed=True)
    return {
        "stride": stride,
        "kernel_4": bilinear_kernel(1, 1, 4)[0, 0].tolist(),
        "rule": {
            "kernel": 2 * stride,
            "padding": half,
            "sizes": [
                {
                    "coarse": size,
                    "fine": up.output_size(size),
                    "and_back": down.output_size(up.output_size(size)),
                }
                for size in (10, 15)
            ],
        },
        "textbook": {
            "size_hw": TEXTBOOK_HW,
            "enlarged_hw": [doubled.output_size(size) for size in TEXTBOOK_HW],
        },
        "difference": {
            "inside": largest((faded - exact)[..., half:-half, half:-half]),
            "border": largest(faded - exact),
            "divided_by_its_weights": largest(normalized_upsampling(scores, stride) - exact),
            "learned_upsampling": largest(librarys - exact),
        },
        "weights": {str(factor): edge_and_corner(factor) for factor in sorted({*FACTORS, stride})},
        "same_winner": bool(torch.equal(faded.argmax(1), exact.argmax(1))),
        "faded_part": float((border_weights((10 * stride, 15 * stride), stride) < 1).double().mean()),
    }


def largest(difference: Tensor) -> float:
    return float(difference.abs().max())


def edge_and_corner(factor: int) -> dict[str, float]:
    """The least weights at the middle of an edge and in a corner."""
    weights = border_weights((3 * factor, 3 * factor), factor)
    return {"edge": float(weights[0, 3 * factor // 2]), "corner": float(weights[0, 0])}


def upsampling_text(facts: dict[str, Any]) -> str:
    """The facts for people."""
    stride, rule, exact = facts["stride"], facts["rule"], facts["difference"]
    edge, corner = facts["weights"][str(stride)].values()
    size, enlarged = facts["textbook"]["size_hw"], facts["textbook"]["enlarged_hw"]
    return "\n".join([
        "The bilinear kernel",
        "",
        "A transposed convolution lays a copy of its kernel, times the score, at every score, and adds where copies",
        "overlap. With this kernel (k = 4, stride 2) each new pixel is the mean of its neighbours, weighted by nearness:",
        "",
        *("  " + "".join(f"{value:9.4f}" for value in row) for row in facts["kernel_4"]),
        "",
        "It is the product of 1/4 3/4 3/4 1/4 with itself: a tent, as wide as two cells each way.",
        "",
        "Sizes",
        "",
        "Kernel 2s, stride s, padding s/2 enlarge s times, for every even s: (n - 1) s - 2 (s/2) + 2s = n s.",
        f"Stride {stride}: kernel {rule['kernel']}, padding {rule['padding']}.",
        "",
        *(
            f"  {row['coarse']} cells -> {row['fine']} pixels; and back, "
            f"({row['fine']} - {rule['kernel']} + {2 * rule['padding']} + {stride}) / {stride} = {row['and_back']}"
            for row in rule["sizes"]
        ),
        "",
        f"The textbook's picture, doubled: {size[0]} x {size[1]} -> {enlarged[0]} x {enlarged[1]}",
        "",
        "The border fades",
        "",
        "Largest difference from interpolate(mode='bilinear', align_corners=False), scores between 0 and 1:",
        "",
        f"  inside, {rule['padding']} or more pixels from the border       {exact['inside']:8.1e}",
        f"  the whole map                                  {exact['border']:8.2f}",
        "",
        "Inside, the two are the same. At the border a pixel lacks a neighbour on one side, and nothing takes its place:",
        "the weights that arrive sum to 1/2 + (2j + 1) / (2s) in pixel j from the border, less than 1 for j < s/2.",
        "",
        "  factor     edge   corner",
        *(f"  {factor:>6}   {row['edge']:.4f}   {row['corner']:.4f}" for factor, row in facts["weights"].items()),
        "",
        f"At stride {stride} scores fall to {edge:.3f} of their size along the edges and to {corner:.3f} in the corners, and",
        f"{100 * facts['faded_part']:.0f} % of a {10 * stride} x {15 * stride} map are touched. All classes fade alike, so the "
        f"class with the highest score",
        f"{'stays' if facts['same_winner'] else 'CHANGES'}; the probabilities, the loss, and sums with other maps change.",
        "",
        "Two ways out, and what they leave of the difference:",
        "",
        f"  divide by the weights: ops.attenuation.normalized_upsampling          {exact['divided_by_its_weights']:8.1e}",
        f"  go on with the outermost scores: LearnedUpsampling, border='exact'    {exact['learned_upsampling']:8.1e}",
        "",
        "The first works because w c / w = c: where one neighbour c is left, the result is c, just as if it went on.",
    ])  # fmt: skip
