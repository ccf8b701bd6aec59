"""A Ray cluster: joined or started without noise and without a word to its makers, and how much work it can take."""

import importlib
import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fullconv.errors import ConfigError, RunError

CPUS = 4
"""Of an actor, where a machine has so many: a network gains little from more, and each actor holds a model."""

KNOCK_SECONDS = 10

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else Ray reports its use over the network
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@dataclass(frozen=True)
class Pool:
    """Actors: how many, and the CPUs and GPUs of each."""

    count: int
    cpus: int
    gpus: int


def fitting(
    nodes: Iterable[Mapping[str, float]], free: Mapping[str, float], use_gpus: bool, cpus: int | None
) -> Pool:
    """As many actors as run at once on machines with these resources, of which so much is free now.

    Raises:
        ConfigError: none runs on any of them.
        RunError: others have taken what there is.

    >>> fitting([{"CPU": 2.0}, {"CPU": 9.0}], {"CPU": 11.0}, True, None)
    Pool(count=2, cpus=4, gpus=0)
    >>> fitting([{"CPU": 1.0}], {"CPU": 1.0}, True, None)
    Pool(count=1, cpus=1, gpus=0)
    >>> fitting([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 16.0}], {"CPU": 32.0, "GPU": 2.0}, True, None)
    Pool(count=2, cpus=4, gpus=1)
    """
    cpus_gpus = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    gpus = int(use_gpus and any(node_cpus and node_gpus for node_cpus, node_gpus in cpus_gpus))
    share = max(
        (node_cpus // max(1, node_gpus * gpus) for node_cpus, node_gpus in cpus_gpus if node_gpus >= gpus),
        default=0,
    )
    cpus = cpus or max(1, min(CPUS, share))

    def held(all_cpus: float, all_gpus: float) -> int:
        return min(int(all_cpus // cpus), int(all_gpus)) if gpus else int(all_cpus // cpus)

    total = sum(held(*node) for node in cpus_gpus)
    if not total:
        most = max((node_cpus for node_cpus, _ in cpus_gpus), default=0)
        raise ConfigError(
            f"no machine of the Ray cluster fits: the largest has {most} CPUs; expected {cpus} at least; start Ray with more"
        )
    count = min(total, held(free.get("CPU", 0), free.get("GPU", 0)))
    if not count:
        raise RunError(
            f"the Ray cluster has too little free: {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs; expected "
            f"{cpus} and {gpus}; wait until other work has ended"
        )
    return Pool(count, cpus, gpus)


def imported_ray() -> Any:
    """Ray, without its reports over the network.

    Raises:
        ConfigError: it is not installed.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise ConfigError(
            f"the package ray cannot be imported ({error}); install it: pip install 'fullconv[ray]'"
        ) from None
    return ray


def check_reachable(address: str) -> None:
    """Knocks at a cluster's address, where it is HOST:PORT: Ray itself waits for minutes.

    Raises:
        RunError: nobody is there.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"no Ray cluster answers at RAY_ADDRESS {address}: {error}; correct it, or start one: ray start --head"
        ) from None


@contextmanager
def cluster(ray: Any) -> Iterator[None]:
    """Joins the cluster that there is, or starts one; leaves it as it was found."""
    if ray.is_initialized():
        yield
        return
    check_reachable(os.environ.get("RAY_ADDRESS", ""))
    try:
        with spoken(ray), muted():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
        yield
    finally:
        ray.shutdown()


@contextmanager
def muted() -> Iterator[None]:
    """Keeps from stderr what Ray's part in C++ writes there as it starts."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextmanager
def spoken(ray: Any) -> Iterator[None]:
    """Says in one line what went wrong in Ray, and else keeps it quiet."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    except (ray.exceptions.RayError, ConnectionError, OSError) as error:
        raise RunError(f"Ray failed: {' '.join(str(error).split())[:300]}") from None
