"""Requests made up from the service's own description of itself: none fails, and each reply is as described."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from service_helpers import running

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, unsupported_method,
]  # fmt: skip


@pytest.mark.parametrize("count", [10, pytest.param(600, marks=pytest.mark.slow)])
def test_requests_as_described_and_as_not(count):
    """Of each operation `count` requests that follow the description, and as many that break it."""
    sent = 0

    def try_out(operation, mode: GenerationMode) -> None:
        @settings(
            max_examples=count,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(operation.as_strategy(generation_mode=mode))
        def each(case) -> None:
            nonlocal sent
            sent += 1
            case.call_and_validate(checks=CHECKS)

        each()

    with running() as (port, _):
        described = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        operations = [result.ok() for result in described.get_all_operations()]
        assert len(operations) == 15
        for operation in operations:
            try_out(operation, GenerationMode.POSITIVE)
            with suppress(Unsatisfiable):  # without parameters or body there is nothing to break
                try_out(operation, GenerationMode.NEGATIVE)
    assert sent >= (2000 if count > 10 else 40)
