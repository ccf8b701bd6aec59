"""P3: class ids from coarse scores, against `interpolate` followed by `argmax`, on the score maps of real pictures.

    python benchmarks/labels.py MODEL PICTURE...

MODEL: a run or bundle folder of an FCN with fixed upsampling. Every label is compared. The floor is the time to write the ids.
Made-up maps of 21 and 150 classes follow: smooth ones, and noise in which no four corners agree.
"""

import argparse
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F

import fullconv
from common import machine, timed
from fullconv.ops.argmax import argmax_of
from fullconv.ops.bilinear import Placement
from fullconv.ops.score_map import ScoreMap


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("pictures", nargs="*", type=Path)
    arguments = parser.parse_args()
    print(machine())
    print(
        f"{'scores':30} {'disputed':>9} {'theirs':>9} {'ours':>9} {'ratio':>7} {'floor':>8}  labels that differ"
    )
    if arguments.model is not None:
        segmenter = fullconv.load(arguments.model, precision="fp32", engine="torch")
        ratios = [
            compare(picture.name, segmenter.predict(picture).score_map, exact=True)
            for picture in arguments.pictures
        ]
        print(f"median ratio {statistics.median(ratios):.1f}, least {min(ratios):.1f}")
    torch.manual_seed(0)
    half = Placement.half_pixel(8)
    for classes in (21, 150):
        smooth = F.interpolate(torch.randn(1, classes, 8, 8), size=(64, 64), mode="bicubic")[0]
        noise = torch.randn(classes, 64, 64)
        for name, scores in (("smooth", smooth), ("noise", noise)):
            compare(f"{name}, {classes} classes", ScoreMap(scores, (half, half), (512, 512)), exact=False)


def compare(name: str, score_map: ScoreMap, exact: bool) -> float:
    """Prints a row; theirs are labels of `interpolate`, or of our exact placement where `exact`."""
    scores, size_hw = score_map.scores, score_map.size_hw

    def theirs() -> torch.Tensor:
        return F.interpolate(scores[None], size=size_hw, mode="bilinear", align_corners=False).argmax(1)[0]

    want = score_map.logits().argmax(0) if exact else theirs()
    differing = int((score_map.labels().long() != want).sum())
    slow, fast = timed(theirs, repeats=9)[0], timed(score_map.labels, repeats=9)[0]
    floor = timed(lambda: torch.empty(size_hw, dtype=torch.uint8).fill_(1), repeats=9)[0]
    best = argmax_of(scores)
    corners = (best[:-1, :-1], best[1:, :-1], best[:-1, 1:], best[1:, 1:])
    disputed = float(torch.stack([corners[0] != corner for corner in corners]).any(0).float().mean())
    times = f"{slow:6.1f} ms {fast:6.1f} ms {slow / fast:6.1f}x {floor:5.2f} ms"
    print(f"{name:30} {disputed:8.1%} {times}  {differing} of {size_hw[0] * size_hw[1]:,}")
    return slow / fast


if __name__ == "__main__":
    main()
