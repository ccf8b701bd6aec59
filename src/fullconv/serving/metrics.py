"""What is counted and timed, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one service; each has a registry of its own, so that tests can have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "fullconv_requests", "Requests answered", ["route", "status", "code"], registry=self.registry
        )
        self.latency = Histogram(
            "fullconv_request_seconds",
            "From the head of a request to the end of its reply",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("fullconv_requests_in_flight", "Requests under way", registry=self.registry)
        self.waiting = Gauge(
            "fullconv_queue_length", "Requests that wait for the network", registry=self.registry
        )
        self.stages = Histogram(
            "fullconv_stage_seconds",
            "Of a request: waiting, decoding, in the network (with others of its batch), encoding",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "fullconv_batch_pictures",
            "Pictures that went through the network together",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.pictures = Counter("fullconv_pictures", "Pictures labelled", registry=self.registry)
        self.pixels = Counter("fullconv_pixels", "Pixels labelled", registry=self.registry)

    def watch_queue(self, length: Callable[[], int]) -> None:
        self.waiting.set_function(length)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
