"""`audit`: who changed what, as a table and as JSON lines."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.cli.failures import UsageError
from orchestrator.cli.moments import parse_moment
from tests.cli.commands import InProcess
from tests.cli.support import require_success, write_definition

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


@pytest.mark.temporal
def test_changes_are_listed_and_exported(command: InProcess, tmp_path: Path) -> None:
    path = write_definition(tmp_path, "audited")
    for _ in range(3):
        require_success(command("workflows", "push", path, "--activate", "--customer", "audit-customer"))
        path.write_text(path.read_text().replace("Audited", "Audited again"))

    listed = require_success(command("audit", "list", "--customer", "audit-customer", "--since", "1h"))
    exported = require_success(command("audit", "export", "--customer", "audit-customer", "--target", "audited"))
    none = require_success(command("audit", "list", "--customer", "audit-customer", "--until", "yesterday"))

    lines = [json.loads(line) for line in exported.splitlines()]
    assert len(listed.splitlines()) == len(lines) >= 3
    assert {line["actor"] for line in lines} == {"local"}
    assert {"createWorkflow", "activateWorkflow"} <= {line["operation"] for line in lines}
    assert none == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-05-01T00:00:00Z"),
        ("yesterday", "2026-04-30T00:00:00Z"),
        ("90s", "2026-05-01T12:28:30Z"),
        ("30min", "2026-05-01T12:00:00Z"),
        ("2h ago", "2026-05-01T10:30:00Z"),
        ("7d", "2026-04-24T12:30:00Z"),
        ("2026-04-01", "2026-04-01T00:00:00Z"),
        ("2026-04-01T10:00:00+02:00", "2026-04-01T08:00:00Z"),
    ],
)
def test_a_time_is_read(text: str, expected: str) -> None:
    assert parse_moment(text, "--since", NOW) == expected


def test_what_is_not_a_time_is_refused() -> None:
    with pytest.raises(UsageError, match="--since 'soon' is not a time"):
        parse_moment("soon", "--since", NOW)
