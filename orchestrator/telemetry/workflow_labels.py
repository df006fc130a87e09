"""Bound how many workflows metrics tell apart: each value of a label is a series of its own, for good."""

import re
from collections.abc import Iterator

MAX_WORKFLOWS = 100
OTHER = "(other)"
"""Label of the workflows beyond the bound, and of those whose ID was generated, as of a definition sent without one.

No workflow has this ID."""
BRANCH = "/branch"
"""Ends the Temporal workflow types of branches (`temporal/workflow_types`)."""
GENERATED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WORKFLOW_TYPE = re.compile(rb'(?<=[{,]workflow_type=")(?:[^"\\]|\\.)*(?=")')


class WorkflowLabels:
    """The workflows that have a label of their own in this process: the first ones that it meets."""

    def __init__(self, limit: int = MAX_WORKFLOWS) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def pick(self, workflow_id: str) -> str:
        """Return the label of a workflow."""
        if workflow_id not in self._known:
            if len(self._known) >= self._limit or GENERATED.fullmatch(workflow_id):
                return OTHER
            self._known.add(workflow_id)
        return workflow_id

    def pick_type(self, workflow_type: str) -> str:
        """Return the label of a Temporal workflow type: branches go with their workflow."""
        workflow_id = workflow_type.removesuffix(BRANCH)
        return self.pick(workflow_id) + workflow_type[len(workflow_id) :]


def bound_types(text: bytes, labels: WorkflowLabels) -> bytes:
    """Return metrics of the Temporal SDK, in Prometheus's text format, where few workflow types are told apart."""
    return b"".join(b"%s\n" % line for line in _bound_lines(text.splitlines(), labels))


def _bound_lines(lines: list[bytes], labels: WorkflowLabels) -> Iterator[bytes]:
    sums: dict[bytes, float] = {}
    for line in lines:
        series, _, value = line.rpartition(b" ")
        bounded = WORKFLOW_TYPE.sub(lambda match: labels.pick_type(match[0].decode()).encode(), series)
        if bounded != series:
            sums[bounded] = sums.get(bounded, 0.0) + float(value)
            continue
        if line.startswith(b"#"):  # all lines of a metric belong together
            yield from _take_lines(sums)
        yield line
    yield from _take_lines(sums)


def _take_lines(sums: dict[bytes, float]) -> Iterator[bytes]:
    yield from (b"%s %r" % (series, value) for series, value in sums.items())
    sums.clear()


WORKFLOWS = WorkflowLabels()
"""Those of this process."""
