"""Check regions: nodes that never run, bodies and branches without nodes, and nodes listed but not contained."""

from orchestrator.model.definition import TRIGGER, Definition
from orchestrator.planner.regions import Region, Regions
from orchestrator.planner.report import Report


def check_reached(definition: Definition, tree: Regions, report: Report) -> None:
    """Report a graph without a start, and warn about nodes that never run."""
    workflow_graph = tree.graph
    if workflow_graph.untyped:
        return  # where their edges lead is not known
    if not workflow_graph.starts:
        misdirected = any(edge.source == TRIGGER for edge in definition.edges)  # reported as unknown_node
        if workflow_graph.nodes and not misdirected:
            hint = 'add an edge with source "trigger", or a node of type trigger'
            report.add_error("no_start", "/edges", "the graph has no start: no node would run", hint)
        return
    connected = {edge.target for edge in definition.edges} | {edge.source for edge in definition.edges}
    listed = {target for _, _, _, target in workflow_graph.listings}
    for number, node in enumerate(workflow_graph.nodes):
        if tree.innermost[number] is not None:
            continue
        if node.id in connected or number in listed:
            message = f"node {node.id!r} never runs: no path from the start reaches it"
            report.add_warning("unreachable", workflow_graph.pointers[number], message)
        else:
            message = f"node {node.id!r} never runs: no edge or list names it"
            report.add_warning("orphan", workflow_graph.pointers[number], message, "connect it with an edge")


def check_regions(tree: Regions, report: Report) -> None:
    """Report listed nodes that are not in the body or branch that lists them."""
    workflow_graph = tree.graph
    if workflow_graph.untyped:
        return
    owned: dict[tuple[int, str], int] = {}
    for pointer, owner, port, target in workflow_graph.listings:
        region = _find_region(tree, owner, port)
        if region is None or tree.innermost[owner] is None:
            continue
        inside = any(enclosing is region for enclosing in tree.iterate_enclosing(target))
        owned[owner, port] = owned.get((owner, port), 0) + inside
        if not inside:
            target_id, owner_id = workflow_graph.nodes[target].id, workflow_graph.nodes[owner].id
            part = "body" if port == "body" else "branch"
            message = f"{target_id!r} runs once after {owner_id!r}, not in its {part}"
            hint = f"another path reaches {target_id!r} without {owner_id!r}: remove that path, or the entry here"
            report.add_warning("region_overlap", pointer, message, hint)
    for (owner, port), count in owned.items():
        if count == 0:
            message = f"the {port} of {workflow_graph.nodes[owner].id!r} is empty: other paths reach all nodes it lists"
            hint = "remove the edges that reach these nodes from outside"
            report.add_error("empty_region", workflow_graph.pointers[owner], message, hint)
    for number, node in enumerate(workflow_graph.nodes):
        if node.type in ("loop", "parallel") and not any(region.entries for region in tree.inside.get(number, ())):
            part = "body" if node.type == "loop" else "branches"
            message = f"the {node.type} {node.id!r} has no {part}"
            report.add_warning("empty_region", workflow_graph.pointers[number], message)


def _find_region(tree: Regions, owner: int, port: str) -> Region | None:
    return next((region for region in tree.inside.get(owner, ()) if region.port == port), None)


def measure_nesting(tree: Regions) -> int:
    """Return how many loops and parallels are nested inside each other."""
    return max((region.depth for inside in tree.inside.values() for region in inside), default=0)
