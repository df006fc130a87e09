"""Read the sizes of a forecast, and print it."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.output import print_line, print_note, print_table


def parse_sizes(text: str | None) -> dict[str, Any]:
    """Return the sizes of `--sizes`; raises UsageError."""
    from pydantic import ValidationError

    from orchestrator.forecast.sizes import Sizes, describe_mistakes

    try:
        value = {} if text is None else parse_json_argument(text, "--sizes")
        return Sizes.model_validate(value).model_dump(exclude_unset=True)
    except ValidationError as error:
        hint = 'write --sizes \'{"items": {"each": 1000}}\'; see orchestrator validate --help'
        raise UsageError(f"--sizes is not valid: {describe_mistakes(error)}", hint=hint) from None


def print_forecast(name: str, forecast: Mapping[str, Any]) -> None:
    """Print the sum of a forecast, then its workflows, the nodes that write something, and iterations."""
    print_line(
        f"{name}: about {format_count_of(forecast['events'], 'event')}, {format_size(forecast['bytes'])}, "
        f"{format_tasks(forecast)} for {format_count_of(forecast['steps'], 'step')}"
    )
    print_table(("part", "events", "bytes", "tasks", "details"), _list_rows(forecast))
    for ignored in forecast["ignored"]:
        print_note(f"{name}: --sizes: {ignored['field']}/{ignored['node_id']}: {ignored['message']}", "yellow")


def _list_rows(forecast: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for flow in forecast["flows"]:
        label = "the run" if flow["kind"] == "run" else f"{flow['kind']} {flow['path']}"
        details = [] if flow["kind"] == "run" else [format_count_of(flow["count"], "child workflow")]
        if flow["executions"] > flow["count"]:
            details.append(f"continues as new in {', '.join(flow['continues_in']) or 'each'}")
            details.append(format_count_of(flow["executions"], "execution"))
        yield label, *_format_amounts(flow), "; ".join(details)
    for node in forecast["nodes"]:
        if not node["events"] and not node["is_fused"]:
            continue
        path = f"{node['path']}/" if node["path"] else ""
        details = [format_count_of(node["steps"], "step")] + ["fused"] * node["is_fused"]
        yield f"node {path}{node['node_id']}", *_format_amounts(node), ", ".join(details)
    for item in forecast["items"]:
        assumed = " (assumed)" if item["is_assumed"] else ""
        details = [f"of {format_count_of(item['iterations'], 'iteration')}{assumed}"]
        yield f"iteration of {item['node_id']}", *_format_amounts(item), *details


def _format_amounts(amounts: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{amounts['events']:,}", format_size(amounts["bytes"]), f"{amounts['tasks']:,g}"


def format_tasks(forecast: Mapping[str, Any]) -> str:
    """Return the number of workflow tasks, as a range where it depends on what ends at the same time."""
    fewest, most = forecast["fewest_tasks"], forecast["most_tasks"]
    return format_count_of(most, "workflow task") if fewest == most else f"{fewest:,} to {most:,} workflow tasks"


def format_count_of(number: int, noun: str) -> str:
    """Return a large number with its noun: `1,200 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_size(size: float) -> str:
    """Return a number of bytes: `900 B`, `12 kB`, `3.4 MB`."""
    if size < 1_000:
        return f"{size:.0f} B"
    return f"{size / 1_000:,.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"
