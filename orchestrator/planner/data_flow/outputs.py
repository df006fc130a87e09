"""Infer what a run returns, for the workflows that call it."""

from collections.abc import Mapping, Sequence

from orchestrator.model.definition import Definition
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.places import find_state
from orchestrator.planner.data_flow.types import ANY, MISSING, Type, add_kinds, join_all, make_object
from orchestrator.planner.data_flow.walk import TooComplex
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.references import Use, is_template, list_reads
from orchestrator.planner.regions import Regions
from orchestrator.planner.scoping import list_variables_set


def infer_run_output(
    definition: Definition,
    regions: Regions,
    uses: Sequence[Sequence[Use]],
    registry: Catalogue | None,
    called: Mapping[str, Type],
) -> Type:
    """Return the type of a run's output: that of the `end` that closes it, else the variables that are set."""
    names = dict.fromkeys(name for node in regions.graph.nodes for name in list_variables_set(node))
    kept = frozenset(name for name in names if not is_template(name))
    flow = Flow(definition, regions, registry, [list_reads(each) for each in uses], called, kept)
    try:
        flow.walk()
    except (TooComplex, RecursionError):
        return ANY
    found = [
        flow.infer(node.config["output"], find_state(flow, number, "/config/output"))
        for number, node in enumerate(flow.nodes)
        if node.type == "end"
        and node.config.get("output") is not None
        and node.config.get("outcome") != "failed"
        and number in flow.seen
        and regions.innermost[number] is regions.whole
    ]
    if flow.final is not None:
        fields = {name: _read_set(flow.final.get(name, MISSING), name in definition.variables) for name in names}
        found.append(make_object(fields, closed=not flow.sets_anything))
    return join_all(found) if found else ANY


def _read_set(known: Type, declared: bool) -> Type:
    """Return the type of a variable in an output: one that is declared is only there when a node has set it, too."""
    return add_kinds(known, "missing") if declared else known
