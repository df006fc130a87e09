"""The steps of a run, summed up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.model.run import Run, StepDocument
from orchestrator.service.overviews import StepFilter, StepLine, select_steps, summarize_run_steps

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def make_step(step_id: str, number: int = 0, status: str = "completed", **fields: Any) -> StepDocument:
    """Return a step whose node and path are those of its ID."""
    path, _, name = step_id.rpartition("/")
    at = BEGAN + timedelta(seconds=number)
    ended = at if status in ("completed", "failed") else None
    node = name.partition("#")[0]
    document = {"id": step_id, "node_id": node, "path": path, "status": status, "started_at": at, "completed_at": ended}
    return StepDocument.model_validate(document | fields)


def make_run(*steps: StepDocument, **fields: Any) -> Run:
    """Return a run with these steps."""
    document = {"id": "r", "workflow_id": "w", "workflow_version": 1, "status": "running", "steps_total": len(steps)}
    return Run.model_validate(document | fields | {"steps": list(steps)})


def test_steps_are_counted_by_node_status_and_port() -> None:
    run = make_run(
        make_step("fork", decision={"port": "true"}),
        make_step("fork#2", decision={"port": "false"}),
        make_step("call", status="failed", error={"message": "x" * 400, "error_type": "action_error"}),
        make_step("call#2", status="running"),
    )
    overview = summarize_run_steps(run, {}, newest=1)
    fork, call = overview.nodes

    assert (fork.statuses, fork.ports) == ({"completed": 2}, {"true": 1, "false": 1})
    assert (call.statuses, call.ports) == ({"failed": 1, "running": 1}, {"error": 1})
    assert (call.first.id, call.first.error_type, len(call.first.error or "")) == ("call", "action_error", 301)
    assert ([step.id for step in overview.newest], overview.last) == (["call#2"], 3)


def test_lines_leave_out_the_data_of_steps_and_tell_results_apart() -> None:
    outputs: list[Any] = [{"count": 3, "succeeded": 2, "failed": 1, "results": ["x"]}, {"count": "three"}, {"count": 3}]
    runs = [make_run(make_step("each", output_data=output)) for output in outputs]
    nodes = [summarize_run_steps(run, {}, 0).nodes[0] for run in runs]

    assert [node.first.items for node in nodes] == [{"count": 3, "succeeded": 2, "failed": 1}, None, {"count": 3}]
    assert len({node.result for node in nodes}) == 3
    assert not {"input_data", "output_data", "attempts"} & set(StepLine.model_fields)


def test_iterations_are_counted_and_those_that_failed_are_listed_first() -> None:
    steps = [
        make_step(f"each[{number}]/do", number, "failed" if number == 5 else "completed") for number in range(1000)
    ]
    (passes,) = summarize_run_steps(make_run(*steps), {}, 0).passes

    assert (passes.node_id, passes.statuses) == ("each", {"completed": 999, "failed": 1})
    assert [each.index for each in passes.listed] == [5, *range(901, 1000)]


def test_the_chosen_iterations_select_steps_and_the_iterations_of_loops_inside() -> None:
    run = make_run(
        make_step("before"),
        make_step("each[0]/fan[1]/inner[0]/do"),
        make_step("each[1]/fan[1]/inner[0]/do"),
        make_step("each[1]/fan[1]/inner~1[1]/do"),
    )
    overview = summarize_run_steps(run, {"each": 1}, newest=10)

    assert [step.id for step in overview.newest] == [
        "before",
        "each[1]/fan[1]/inner[0]/do",
        "each[1]/fan[1]/inner~1[1]/do",
    ]
    assert {each.node_id: sum(each.statuses.values()) for each in overview.passes} == {"each": 2, "fan": 1, "inner": 2}
    inner = summarize_run_steps(run, {"each": 1, "inner": 1}, newest=10)
    assert [step.id for step in inner.newest] == ["before", "each[1]/fan[1]/inner~1[1]/do"]


def test_pages_go_on_where_they_ended_although_steps_are_added_and_dropped() -> None:
    """A document keeps the newest steps: the position of a step in it changes."""
    steps = [make_step(f"each[{number}]/do", number) for number in range(10)]
    before = make_run(*steps[:6], steps_total=6)
    after = make_run(*steps[3:], steps_total=10)

    newest, cursor = select_steps(before, StepFilter(), "newest", None, 2)
    assert [step.path for step in newest] == ["each[5]", "each[4]"]
    page, last = select_steps(after, StepFilter(), "newest", cursor, 2)
    assert ([step.path for step in page], last) == (["each[3]"], None)
    _, cursor = select_steps(before, StepFilter(), "oldest", None, 5)
    page, last = select_steps(after, StepFilter(), "oldest", cursor, 3)
    assert [step.path for step in page] == ["each[5]", "each[6]", "each[7]"]
    assert last == 7


def test_steps_are_selected_by_node_status_and_id() -> None:
    run = make_run(make_step("a"), make_step("b", status="failed"), make_step("b#2"))

    def select(**wanted: Any) -> list[str]:
        return [step.id for step in select_steps(run, StepFilter(**wanted), "oldest", None, 10)[0]]

    assert select(node_id="b") == ["b", "b#2"]
    assert select(node_id="b", statuses=frozenset({"failed"})) == ["b"]
    assert select(step_id="b#2") == ["b#2"]
