"""What runs have used is told in one line."""

from orchestrator.cli.usage import format_usage
from orchestrator.model.usage import Usage


def test_the_line_says_where_more_was_used_than_is_counted() -> None:
    usage = Usage(executions=1, events=1_234, bytes=56_000, steps=7, worker_seconds=89.04, complete=True)
    line = "1 execution, 1,234 events, 56 kB, 89.0 worker seconds"

    assert format_usage(usage.model_dump()) == line
    assert format_usage(usage.model_dump() | {"complete": False}) == f"{line}, and more that is not counted"
