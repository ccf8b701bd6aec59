"""Is convolution by matrix product efficient? One layer in five ways.

    python benchmarks/convolution.py

dense matrix     the textbook's W with all its zeros, times the flattened input
sparse matrix    the same W without the zeros, as row lists (CSR) and as coordinates (COO)
im2col           the windows copied side by side, then one dense product (`F.unfold`)
convolution      `F.conv2d`

Bytes are those of the matrix that a way multiplies with: W, or the copied windows, or the kernel. Ratios compare with
`F.conv2d` on the same layer. Each result is checked against it.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from common import machine, timed
from fullconv.ops.matrix import convolution_matrix

LAYERS = [
    ("first layer of a small network", 3, 16, 3, 32),
    ("3x3, 16 to 16 channels", 16, 16, 3, 28),
    ("3x3, 64 to 64 channels", 64, 64, 3, 28),
]
DENSE_LIMIT = 1 << 30
"""The dense matrix is made only below this many bytes; above, its size alone is printed."""


def ways(x: Tensor, weight: Tensor) -> dict[str, tuple[int, Callable[[], Tensor] | None]]:
    """Name -> bytes of the matrix, and the work, which returns the output; None where the matrix is too large."""
    side, padding = x.shape[-1], weight.shape[-1] // 2
    coo = convolution_matrix(weight, (side, side), padding=padding)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        csr = coo.to_sparse_csr()
    dense_bytes = coo.shape[0] * coo.shape[1] * 4
    dense = coo.to_dense() if dense_bytes <= DENSE_LIMIT else None
    kernel_rows, column = weight.flatten(1), x.reshape(-1, 1)
    windows = F.unfold(x, weight.shape[-1], padding=padding)
    return {
        "convolution": (weight.nbytes, lambda: F.conv2d(x, weight, padding=padding)),
        "im2col": (windows.nbytes, lambda: kernel_rows @ F.unfold(x, weight.shape[-1], padding=padding)),
        "sparse CSR": (
            csr.values().nbytes + csr.col_indices().nbytes + csr.crow_indices().nbytes,
            lambda: csr @ column,
        ),
        "sparse COO": (coo.values().nbytes + coo.indices().nbytes, lambda: coo @ column),
        "dense matrix": (dense_bytes, None if dense is None else lambda: dense @ column),
    }


def main() -> None:
    print(machine())
    torch.manual_seed(0)
    for title, channels_in, channels_out, kernel, side in LAYERS:
        x = torch.randn(1, channels_in, side, side)
        weight = torch.randn(channels_out, channels_in, kernel, kernel) / (channels_in * kernel**2) ** 0.5
        print(f"\n{title}, picture {side} x {side}: W is {channels_out * side**2} x {channels_in * side**2}")
        print(f"{'way':14}{'ms':>20}{'time':>10}{'MB':>12}{'bytes':>12}")
        with torch.inference_mode():
            want = F.conv2d(x, weight, padding=kernel // 2)
            found = ways(x, weight)
            base = 0.0
            for name, (size, work) in found.items():
                times = f"{'too large to try':>20}{'':10}"
                if work is not None:
                    torch.testing.assert_close(work().view_as(want), want, rtol=1e-3, atol=1e-4)
                    ahead, spread = timed(work)
                    base = base or ahead
                    times = f"{ahead:12.3f} ±{spread:6.3f}{ahead / base:9.1f}x"
                print(f"{name:14}{times}{size / 1e6:12.3f}{size / weight.nbytes:11.0f}x")


if __name__ == "__main__":
    main()
