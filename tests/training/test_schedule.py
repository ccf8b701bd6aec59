"""Learning rates: rise, fall, and independence of everything but the step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullconv.training.config import TrainConfig
from fullconv.training.schedule import learning_rate


def config(schedule: str, warmup: float = 0.1) -> TrainConfig:
    return TrainConfig(data="d", out="o", schedule=schedule, warmup=warmup, lr=0.5)


@given(st.sampled_from(["poly", "cosine", "one-cycle"]), st.integers(1, 400), st.floats(0, 0.9))
def test_rises_then_falls_and_stays_within_bounds(schedule, num_steps, warmup):
    rates = [learning_rate(config(schedule, warmup), step, num_steps) for step in range(num_steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 0.5 + 1e-12 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_values_by_hand():
    poly = config("poly", warmup=0.0)
    assert learning_rate(poly, 0, 10) == pytest.approx(0.5 * (10 / 11) ** 0.9)
    assert learning_rate(poly, 9, 10) == pytest.approx(0.5 * (1 / 11) ** 0.9)
    assert learning_rate(config("poly", 0.5), 0, 10) == pytest.approx(0.1)
    assert learning_rate(config("constant", 0.0), 7, 10) == 0.5
    assert learning_rate(config("cosine", 0.0), 4, 9) == pytest.approx(0.25)


@pytest.mark.parametrize("num_steps", [10, 37, 400])
def test_one_cycle_is_torchs(num_steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.5, total_steps=num_steps, cycle_momentum=False
    )
    for step in range(num_steps):
        want = optimizer.param_groups[0]["lr"]
        assert learning_rate(config("one-cycle"), step, num_steps) == pytest.approx(want, abs=1e-6)
        optimizer.step()
        if step + 1 < num_steps:
            schedule.step()
