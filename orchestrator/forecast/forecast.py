"""Forecast a run: events, bytes and workflow tasks of its history, by node and child workflow."""

from collections.abc import Iterator

from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.forecast.ignored_sizes import list_ignored
from orchestrator.forecast.ledger import Part, Tally
from orchestrator.forecast.passes import Spreader, find_assumptions, measure
from orchestrator.forecast.report import FlowForecast, Forecast, ItemForecast, NodeForecast
from orchestrator.forecast.sizes import Sizes
from orchestrator.forecast.walk import FlowWalk
from orchestrator.model.plan import Plan


def forecast_run(plan: Plan, sizes: Sizes) -> Forecast:
    """Forecast a run in which nothing fails: nodes that only an `error` port leads to do not run.

    Raises DefinitionInvalid where the loops of workflows that call each other are nested too deeply.
    """
    walk = FlowWalk(plan, "", sizes, Spreader())
    try:
        part = walk.walk(measure(plan.to_json()) + sizes.default_result, sizes.default_result)
    except RecursionError:
        message = "loops and called workflows are nested too deeply for a forecast"
        raise DefinitionInvalid([Problem("error", "too_deep", "/nodes", message)]) from None
    assumed = find_assumptions([plan.scope, *(each.scope for each in plan.workflows.values())], sizes)
    flows = list(_list_flows(walk, part))
    total = sum_up(part)
    return Forecast(
        **_round_amounts(total),
        steps=round(total.steps),
        fewest_tasks=sum(each.fewest_tasks for each in flows),
        most_tasks=sum(each.most_tasks for each in flows),
        flows=flows,
        nodes=[
            NodeForecast(
                **_round_amounts(tally), node_id=node_id, path=path, steps=round(tally.steps), is_fused=tally.fused > 0
            )
            for (path, node_id), tally in part.by_key.items()
            if node_id
        ],
        items=[
            ItemForecast(**_round_amounts(sum_up(item)), node_id=name, iterations=count, is_assumed=name in assumed)
            for name, (count, item) in walk.per_item.items()
        ],
        sizes=sizes,
        ignored=list_ignored(plan, sizes),
    )


def sum_up(part: Part) -> Tally:
    """Return the sum of a part, child workflows included."""
    total = Tally()
    for tally in part.by_key.values():
        total.add(tally)
    return total


def _list_flows(walk: FlowWalk, part: Part) -> Iterator[FlowForecast]:
    by_path: dict[str, Tally] = {}
    for (path, _), tally in part.by_key.items():
        by_path.setdefault(path, Tally()).add(tally)
    for path, tally in sorted(by_path.items()):
        counts = part.flows.get(path)
        count, fewest, most, continued = counts if counts else (1.0, part.fewest_tasks, part.most_tasks, part.continued)
        yield FlowForecast(
            **_round_amounts(tally),
            path=path,
            kind=walk.children.get(path, "run"),
            count=round(count),
            fewest_tasks=round(fewest),
            most_tasks=round(most),
            executions=round(count + continued),
            continues_in=walk.continues_in.get(path, []),
        )


def _round_amounts(tally: Tally) -> dict[str, float]:
    return {"events": round(tally.events), "bytes": round(tally.bytes), "tasks": round(tally.tasks, 1)}
