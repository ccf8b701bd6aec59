"""Whether an exported model says what the original says, at odd sizes."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fullconv.errors import RunError
from fullconv.export.files import Check
from fullconv.export.formats import Run
from fullconv.export.graph import outputs

SIZES_HW = ((131, 97), (75, 203), (7, 5))
"""No side is a multiple of anything; the last is smaller than a stride."""

TOLERANCE = {"fp32": 1e-4, "bf16": 2e-3, "int8": 1e-3}
"""Precision -> how far the logits may be off those of the same precision here, as a share of the largest."""

AGREEMENT = {"fp32": 0.9999, "bf16": 0.99, "int8": 0.99}
"""Precision -> the share of the pixels of all sizes that shall have the label that they have here."""

CLEAR = 1e-4
"""Of two classes whose logits differ by less, as a share of the largest, either may be the label."""


def checked(
    run: Run,
    original: Callable[[Tensor], Tensor],
    channels: int,
    sizes: Sequence[int],
    as_labels: bool,
    precision: str,
) -> list[Check]:
    """Compares what an exported model and the original say of noise.

    Args:
        run: the exported model.
        original: pictures to logits, in the precision of what was exported.
        channels: of pictures.
        sizes: the number of classes of each head.
        as_labels: whether `run` gives labels.
        precision: a key of `TOLERANCE`.

    Raises:
        RunError: they differ, or the exported model does not run.
    """
    found, pixels, equal = [], 0, 0.0
    for height, width in SIZES_HW:
        noise = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(height))
        with torch.inference_mode():
            wanted = original(noise)
        try:
            with torch.inference_mode():
                got = run(noise)
        except Exception as error:  # each engine has errors of its own
            reason = " ".join(str(error).strip().splitlines()[-1:])
            raise RunError(
                f"the exported model does not run at {height} x {width} pixels ({reason[:200]}); nothing was written"
            ) from error
        difference = None if as_labels else relative(got[0], wanted)
        if difference is not None and not difference <= TOLERANCE[precision]:
            raise RunError(
                f"the exported model says something else at {height} x {width} pixels: logits are off by {difference:.1e} of "
                f"the largest, more than {TOLERANCE[precision]:.0e}; nothing was written"
            )
        labels = got if as_labels else list(outputs(got[0], sizes, True))
        found.append(
            Check(size_hw=(height, width), difference=difference, agreement=agreement(labels, wanted, sizes))
        )
        equal += agreement(labels, wanted, sizes, CLEAR) * height * width
        pixels += height * width
    if equal / pixels < AGREEMENT[precision]:
        raise RunError(
            f"the exported model gives {100 * equal / pixels:.2f} % of the pixels the label that they have here; expected "
            f"{100 * AGREEMENT[precision]:g} %; nothing was written"
        )
    return found


def relative(got: Tensor, wanted: Tensor) -> float:
    """The largest difference, as a share of the largest value; infinite where shapes differ.

    >>> relative(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    0.5
    """
    if got.shape != wanted.shape:
        return float("inf")
    return float(
        (got.float() - wanted).abs().max() / wanted.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    )


def agreement(labels: Sequence[Tensor], logits: Tensor, sizes: Sequence[int], slack: float = 0.0) -> float:
    """The share of pixels, over all heads, whose label has the highest logit, up to `slack` as a share of the largest.

    >>> agreement([torch.tensor([[[0, 1]]])], torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]]), [2])
    0.5
    """
    near = slack * float(logits.abs().max())
    shares = []
    for given, head in zip(labels, logits.split(list(sizes), dim=1), strict=True):
        chosen = head.gather(1, given.long()[:, None])[:, 0]
        shares.append(float((chosen >= head.amax(dim=1) - near).float().mean()))
    return sum(shares) / len(shares)
