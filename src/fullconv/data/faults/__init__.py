"""Faults to plant into the sample scenes, for trying the data doctor: `planting.FAULTS` has them all."""
