"""Every error has an exit code, and only failed runs exit with 1."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import activities
import api
import orchestrator
from orchestrator.cli.failures import CODES, FAILED, USAGE
from orchestrator.errors import OrchestratorError

ANSWERS = {
    "forbidden", "idempotency_key_reused", "key_unreadable", "method_not_allowed", "respond_failed", "resume_failed",
    "run_failed", "signature_refused", "too_many_requests", "unauthorized", "unsupported_coding",
}  # fmt: skip
"""Codes that occur in HTTP responses only."""


def iterate_subclasses(kind: type[OrchestratorError]) -> Iterator[type[OrchestratorError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from iterate_subclasses(inner)


def test_every_error_has_an_exit_code() -> None:
    for package in (orchestrator, activities, api):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                import_module(module.name)
    ours = {
        kind.code
        for kind in iterate_subclasses(OrchestratorError)
        if kind.__module__.startswith(("orchestrator.", "activities.", "api."))
    }

    assert ours - ANSWERS == CODES.keys()


@pytest.mark.parametrize(
    "code", ["operation_refused", "workflow_exists", "webhook_taken", "edit_conflict", "value_refused", "key_not_found"]
)
def test_a_refused_request_is_not_a_failed_run(code: str) -> None:
    assert CODES[code] == USAGE


def test_a_failed_step_is_a_failed_run() -> None:
    assert CODES["step_failed"] == FAILED
