"""P7: how long a command takes from cold: `fullconv --help`, and `predict` of one picture.

    python benchmarks/start.py MODEL PICTURE

Medians and spreads of seven; files are in the page cache after the first run. The floor of `predict` is `import torch`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine, timed


def main() -> None:
    print(machine())
    fullconv, model, picture = str(Path(sys.executable).with_name("fullconv")), *sys.argv[1:3]
    with tempfile.TemporaryDirectory() as out:
        for name, command in {
            "fullconv --help": [fullconv, "--help"],
            "python -c pass": [sys.executable, "-c", "pass"],
            "fullconv predict, one picture": [fullconv, "predict", model, picture, "--out", out],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        }.items():
            median, spread = timed(
                lambda command=command: subprocess.run(command, check=True, capture_output=True)
            )
            print(f"{name:32} {median / 1000:6.3f} s ±{spread / 1000:.3f}")


if __name__ == "__main__":
    main()
