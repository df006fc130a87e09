"""Judge what another version of a definition would have done with a real run. No I/O, and no action is called.

Both versions are rehearsed with the answers of the run, so that they see the same clock and the same UUIDs. The version
that the run executed has to do what is recorded, or the run is not judged. Then all that both do is compared, moment
by moment; the first difference is the verdict. Where values differ, both are rehearsed again in another world, to see
whether that is only the time, a UUID or the ID of the run.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, get_args

from pydantic import Field

from orchestrator.jsontools.schema import find_problems
from orchestrator.model.plan import Plan
from orchestrator.model.run import ENDED, Document, RepairKind, Run, StepDocument
from orchestrator.simulator.rehearsal import Moment, Rehearsal, World, rehearse
from orchestrator.simulator.volatile import list_changed_paths, mark_volatile

Outcome = Literal["same", "other_path", "other_call", "other_output", "error", "not_judged"]
ELSEWHERE = World(timedelta(seconds=1.234567), 10**12, "another-run-0000")
"""Another world: close enough that a time of the same day or minute rarely becomes another one."""
DEFAULT_LAST, MAX_LAST = 200, 1000
"""Number of runs by which a version is judged."""
MAX_PATHS = 20
"""Changed parameters that a verdict names."""


class RunVerdict(Document):
    """What another version would have done with a run."""

    run_id: str = Field(description="ID of the run.")
    version: int = Field(description="Version that the run executed.")
    outcome: Outcome = Field(
        description="`same`: same path, calls and output. `other_path`: another path. `other_call`: a call that the "
        "run has not made, or with other parameters, or another delay or event. `other_output`: another output or "
        "status. `error`: it fails. `not_judged`: the record does not say enough."
    )
    node_id: str | None = Field(None, description="Node where they part.")
    step_id: str | None = Field(None, description="Step where they part.")
    text: str = Field("", description="The difference, in words; the same text in each run that differs alike.")
    before: Any = Field(None, description="The decision, call or output of the version that the run executed.")
    after: Any = Field(None, description="The same of the other version.")
    changed: list[str] = Field([], description="JSON Pointers to what has changed in it.")


def judge_run(run: Run, before: Plan, after: Plan) -> RunVerdict:
    """Return what a plan does with a run that executed the plan `before`."""
    return _Judge(run, before, after).judge()


def make_unjudged(run_id: str, version: int, why: str) -> RunVerdict:
    """Return the verdict of a run that cannot be judged."""
    return RunVerdict(run_id=run_id, version=version, outcome="not_judged", text=why)


def find_obstacle(run: Run) -> str | None:
    """Return why a run cannot be judged by its record; `None` where it can."""
    if run.status not in ENDED:
        return "it has not ended"
    if run.status == "cancelled":
        return "it was cancelled"
    if run.rerun_of is not None:
        return "it continues another run"
    if any(each.kind in get_args(RepairKind) for each in run.interventions):
        return "an operator has repaired it"
    if any(each.kind == "migrate" and not each.refused for each in run.interventions):
        return "it has moved to another version"
    if not run.complete or run.started_at is None or run.steps_total > len(run.steps):
        return "its record is cut"
    return None


class _Judge:
    def __init__(self, run: Run, before: Plan, after: Plan) -> None:
        self.run = run
        self.plans = {"before": before, "after": after}
        self._elsewhere: dict[str, Rehearsal] = {}

    def judge(self) -> RunVerdict:
        obstacle = find_obstacle(self.run)
        if obstacle is not None:
            return make_unjudged(self.run.id, self.run.workflow_version, obstacle)
        before = self._rehearse("before", World())
        departure = _find_departure(self.run, before)
        if departure is not None:
            return make_unjudged(self.run.id, self.run.workflow_version, departure)
        schema = self.plans["after"].input_schema
        problems = [] if schema is None else find_problems(schema, self.run.input_data)
        if problems:
            text = f"the input is refused: {problems[0].path or '/'} {problems[0].message}"
            return self._make("error", None, text, before=None, after=problems[0].message)
        after = self._rehearse("after", World())
        return self._compare_moments(before, after) or self._compare_ends(before, after) or self._make("same", None, "")

    def _rehearse(self, which: str, world: World) -> Rehearsal:
        return rehearse(self.plans[which], self.run, world, recorded_by=self.plans["before"])

    def _look_elsewhere(self, which: str) -> Rehearsal:
        if which not in self._elsewhere:
            self._elsewhere[which] = self._rehearse(which, ELSEWHERE)
        return self._elsewhere[which]

    def _make(self, outcome: Outcome, step_id: str | None, text: str, **details: Any) -> RunVerdict:
        node_id = None if step_id is None else _read_node_id(step_id)
        return RunVerdict(
            run_id=self.run.id,
            version=self.run.workflow_version,
            outcome=outcome,
            node_id=node_id,
            step_id=step_id,
            text=text,
            **details,
        )

    def _compare_moments(self, before: Rehearsal, after: Rehearsal) -> RunVerdict | None:
        """Return the first moment in which the versions differ."""
        step_id = ""
        for index in range(max(len(before.moments), len(after.moments))):
            one = before.moments[index] if index < len(before.moments) else None
            other = after.moments[index] if index < len(after.moments) else None
            if one is None or other is None or (one.kind, one.step_id) != (other.kind, other.step_id):
                return self._describe_parting(before, after, one, other)
            step_id = one.step_id or step_id
            if one.value == other.value:
                continue
            values = self._mark(before, after, index)
            if values[0] != values[1]:
                return self._describe_call(one.kind, step_id, *values)
        return None

    def _mark(self, before: Rehearsal, after: Rehearsal, index: int) -> list[Any]:
        """Return the values of a moment of both versions, with marks in place of what is volatile."""
        marked = []
        for which, rehearsal in (("before", before), ("after", after)):
            here = rehearsal.moments[index]
            there = self._look_elsewhere(which).moments[index : index + 1]
            is_same_moment = bool(there) and (there[0].kind, there[0].step_id) == (here.kind, here.step_id)
            marked.append(mark_volatile(here.value, there[0].value) if is_same_moment else here.value)
        return marked

    def _describe_call(self, kind: str, step_id: str, before: Any, after: Any) -> RunVerdict:
        changed = list(list_changed_paths(before, after))[:MAX_PATHS]
        match kind:
            case "delay":
                text = "another delay"
            case "wait":
                text = f"waits with another {', '.join(each.strip('/') for each in changed)}"
            case _:
                text = f"called with another {', '.join(changed)}"
        return self._make("other_call", step_id, text, before=before, after=after, changed=changed)

    def _describe_parting(
        self, before: Rehearsal, after: Rehearsal, one: Moment | None, other: Moment | None
    ) -> RunVerdict:
        """Describe where the paths part: by the decisions before it, where these differ."""
        if other is not None and other is after.unknown_call:
            return self._make("other_call", other.step_id, "a call that the run has not made", after=other.value)
        failure = after.run.failure
        if other is None and failure is not None and before.run.failure is None:
            return self._describe_failure(failure)
        decided = _find_decisions(before.steps, after.steps)
        if decided is not None:
            step, its_other = decided
            text = f"{_describe_port(step)} became {_describe_port(its_other)}"
            return self._make("other_path", step.id, text, before=_get_choice(step), after=_get_choice(its_other))
        names = [_name_moment(each) for each in (one, other)]
        text = f"{names[0] or before.run.status} became {names[1] or after.run.status}"
        step_id = next((each.step_id for each in (other, one) if each is not None and each.step_id), None)
        return self._make("other_path", step_id, text, before=names[0], after=names[1])

    def _describe_failure(self, failure: Mapping[str, Any]) -> RunVerdict:
        text = f"fails: {failure['error_type']}: {failure['message']}"
        return self._make("error", failure.get("node_id"), text, before=None, after=dict(failure))

    def _compare_ends(self, before: Rehearsal, after: Rehearsal) -> RunVerdict | None:
        """Return where the versions end differently although they did the same."""
        failures = before.run.failure, after.run.failure
        if failures[1] is not None and failures[0] is None:
            return self._describe_failure(failures[1])
        if before.run.status != after.run.status:
            text = f"ends as {after.run.status} instead of {before.run.status}"
            return self._make("other_output", None, text, before=before.run.status, after=after.run.status)
        ends = [_get_end(before), _get_end(after)]
        if ends[0] == ends[1]:
            return None
        values = [
            mark_volatile(_get_end(here), _get_end(self._look_elsewhere(which)))
            for which, here in (("before", before), ("after", after))
        ]
        if values[0] == values[1]:
            return None
        changed = list(list_changed_paths(*values))[:MAX_PATHS]
        text = f"another output: {', '.join(changed)}"
        return self._make("other_output", None, text, before=values[0], after=values[1], changed=changed)


def _find_departure(run: Run, rehearsal: Rehearsal) -> str | None:
    """Return where the version that a run executed does not repeat it; `None` where it does."""
    if rehearsal.unknown_call is not None:
        return f"the record has no answer for {rehearsal.unknown_call.step_id}"
    recorded = {step.id: step.status for step in run.steps}
    repeated = {step.id: step.status for step in rehearsal.run.steps}
    if rehearsal.run.status != run.status or recorded != repeated:
        places = [name for name in (*recorded, *repeated) if recorded.get(name) != repeated.get(name)]
        return f"the record cannot be repeated{f': {places[0]}' if places else ''}"
    return None


def _find_decisions(before: list[StepDocument], after: list[StepDocument]) -> tuple[StepDocument, StepDocument] | None:
    """Return the first step that both versions took, and that they left in another way."""
    others = {step.id: step for step in after}
    for step in before:
        other = others.get(step.id)
        if other is not None and other.completed_at is not None and _describe_port(step) != _describe_port(other):
            return step, other
    return None


def _describe_port(step: StepDocument) -> str:
    if isinstance(step.decision, Mapping):
        return f"`{step.decision.get('port')}`"
    if isinstance(step.output_data, Mapping) and step.output_data.get("timed_out") is True:
        return "`timeout`"
    return step.status


def _get_choice(step: StepDocument) -> Any:
    return step.decision if isinstance(step.decision, Mapping) else {"status": step.status}


def _name_moment(moment: Moment | None) -> str | None:
    """Return the node of a step, so that the same parting in another iteration has the same name."""
    if moment is None:
        return None
    return _read_node_id(moment.step_id) if moment.step_id else moment.kind


def _read_node_id(step_id: str) -> str:
    return step_id.removesuffix("/compensate").rpartition("/")[2].partition("#")[0]


def _get_end(rehearsal: Rehearsal) -> Any:
    failure = rehearsal.run.failure
    if failure is None:
        return rehearsal.run.output
    return {name: failure[name] for name in ("message", "error_type", "node_id")}
