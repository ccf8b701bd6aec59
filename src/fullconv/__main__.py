"""`python -m fullconv`, and `torchrun -m fullconv`."""

from fullconv.cli import main

main()
