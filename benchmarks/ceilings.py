"""The best mean IU that a stride admits on a data set: what the masks score when they are shrunk and enlarged again.

    python benchmarks/ceilings.py DATA... [--split val]

DATA: folders of data sets. The FCN paper's figures for PASCAL VOC (appendix A) stand beside them. A second line per data set
leaves out the classes with less than 1 % of the pixels: a class of a few small objects says little.
"""

import argparse
import statistics
from pathlib import Path

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import read_mask
from fullconv.metrics import Confusion, stride_ceiling

PAPER = {128: 0.509, 64: 0.733, 32: 0.861, 16: 0.928, 8: 0.964, 4: 0.985}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    print(f"{'stride':24}", *(f"{stride:>6}" for stride in PAPER))
    print(f"{'the paper, VOC':24}", *(f"{100 * iou:6.1f}" for iou in PAPER.values()))
    for folder in arguments.data:
        dataset = open_dataset(folder)
        ceilings = {stride: Confusion(dataset.labels.num_classes) for stride in PAPER}
        for sample in dataset.split(arguments.split):
            truth = read_mask(sample.mask, dataset.labels, sample.shades)
            for stride, confusion in ceilings.items():
                confusion.update(stride_ceiling(truth, stride), truth)
        pixels = ceilings[4].truth_pixels
        main_classes = [i for i, count in enumerate(pixels) if count >= 0.01 * sum(pixels)]
        print(f"{folder.name:24}", *(f"{100 * each.mean_iou:6.1f}" for each in ceilings.values()))
        means = [statistics.fmean(each.iou[i] for i in main_classes) for each in ceilings.values()]
        print(
            f"  {len(main_classes)} main classes".ljust(24),
            *(f"{100 * mean:6.1f}" for mean in means),
            flush=True,
        )


if __name__ == "__main__":
    main()
