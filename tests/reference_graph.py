"""The graph of the reference interpreter: edges, regions and ranks, straight from docs/flow.md.

Slow and obvious: a region is what becomes unreachable when its port is removed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Scope = tuple[str, str] | None
"""Owner and port (`body`, `branch 0` …) of a region; `None` is the whole graph."""

PORTS = {
    "trigger": ("next",),
    "action": ("next", "error"),
    "condition": ("true", "false"),
    "loop": ("body", "next", "left", "error"),
    "parallel": ("branches", "next", "left", "error"),
    "delay": ("next",),
    "wait": ("next", "timeout"),
    "set": ("next",),
    "end": (),
}


class Graph:
    """A definition as edges: owner, port, target."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Mapping[str, Any]] = {node["id"]: node for node in definition["nodes"]}
        self.edges = [(e["source"], e.get("condition") or "next", e["target"]) for e in definition["edges"]]
        self.starts = unique(
            [target for source, _, target in self.edges if source == "trigger"]
            + [node_id for node_id, node in self.nodes.items() if node["type"] == "trigger"]
        )
        self.targets = {node_id: self._targets(node_id) for node_id in self.nodes}
        self.reached = self._reach(self.starts)
        self.regions = {
            (owner, port): self.reached - self._reach(self.starts, without=(owner, port))
            for owner in self.reached
            for port in self.targets[owner]
            if port == "body" or port.startswith("branch ")
        }
        self.home = {node_id: self._home(node_id) for node_id in self.reached}

    def _read_lists(self, node_id: str) -> dict[str, list[str]]:
        """Return the lists of a node by port."""
        node = self.nodes[node_id]
        match node["type"]:
            case "condition":
                return {"true": node.get("true_branch") or [], "false": node.get("false_branch") or []}
            case "loop":
                return {"body": node.get("body") or []}
            case "parallel":
                return {f"branch {i}": ids for i, ids in enumerate(node.get("branches") or [])}
            case _:
                return {}

    def _targets(self, node_id: str) -> dict[str, list[str]]:
        """Return the targets of each port, listed ones first."""
        edges = {port: self._entries(node_id, listed) for port, listed in self._read_lists(node_id).items()}
        named = {target for listed in self._read_lists(node_id).values() for target in listed}
        for source, port, target in self.edges:
            if source != node_id:
                continue
            if port == "branch":
                if target not in named:
                    named.add(target)
                    edges[f"branch {sum(port.startswith('branch ') for port in edges)}"] = [target]
            else:
                edges.setdefault(port, []).append(target)
        return {port: unique(targets) for port, targets in edges.items()}

    def _entries(self, owner: str, listed: list[str]) -> list[str]:
        """Drop listed ids that another listed id leads to; of two that lead to each other, keep the first."""
        listed = unique(listed)
        leads = {node_id: self._reach_loosely(node_id, owner) for node_id in listed}
        return [
            node_id
            for place, node_id in enumerate(listed)
            if not any(
                node_id in leads[other] and not (other in leads[node_id] and place < listed.index(other))
                for other in listed
                if other != node_id
            )
        ]

    def _reach_loosely(self, start: str, owner: str) -> set[str]:
        """Return what a node leads to without passing through the owner of its list."""
        found: set[str] = set()
        waiting = [start]
        while waiting:
            node_id = waiting.pop()
            if node_id == owner:
                continue
            targets = [target for source, _, target in self.edges if source == node_id]
            targets += [target for listed in self._read_lists(node_id).values() for target in listed]
            waiting += [target for target in targets if target not in found]
            found.update(targets)
        return found

    def _reach(self, starts: list[str], without: Scope = None) -> set[str]:
        """Return the nodes that can be reached without one port of one node."""
        found: set[str] = set()
        waiting = list(starts)
        while waiting:
            node_id = waiting.pop()
            if node_id in found:
                continue
            found.add(node_id)
            for port, targets in self.targets[node_id].items():
                if (node_id, port) != without:
                    waiting += targets
        return found

    def _home(self, node_id: str) -> Scope:
        """Return the innermost region that owns a node."""
        owning = [scope for scope, region in self.regions.items() if node_id in region]
        return min(owning, key=lambda scope: len(self.regions[scope]), default=None)

    def inside(self, owner: str) -> list[Scope]:
        """Return the regions of a loop or parallel, in order."""
        return [(owner, port) for port in self.targets[owner] if port == "body" or port.startswith("branch ")]

    def ends_path(self, source: str, target: str) -> bool:
        """Return whether an edge leads back to a loop that encloses its source."""
        loop = self.nodes[target]["type"] == "loop"
        return loop and source in self.regions.get((target, "body"), set())

    def list_exits(self, scope: Scope) -> Iterator[str]:
        """Yield targets outside a region: of its entries, then of its nodes in order of rank."""
        yield from (target for target in self.entries(scope) if self.home[target] != scope)
        for node_id in self.rank_nodes(scope):
            for _, target in self.in_port_order(node_id):
                if self.home[target] != scope and not self.ends_path(node_id, target):
                    yield target

    def in_port_order(self, node_id: str) -> Iterator[tuple[str, str]]:
        """Yield port and target of every edge from a node, within or out of its scope."""
        node = self.nodes[node_id]
        ports = PORTS.get(node["type"]) or (*(node.get("config") or {}).get("cases", {}), "default")
        for port in ports:
            if port == "left":
                for scope in self.inside(node_id):
                    yield from (("left", target) for target in self.list_exits(scope))
            elif port not in ("body", "branches"):
                yield from ((port, target) for target in self.targets[node_id].get(port, []))

    def entries(self, scope: Scope) -> list[str]:
        """Return the entries of a scope."""
        if scope is None:
            return self.starts
        owner, port = scope
        return [
            target
            for target in self.targets[owner][port]
            if not self.ends_path(owner, target) and not (port == "body" and target == owner)
        ]

    def rank_nodes(self, scope: Scope) -> list[str]:
        """Return the nodes of a scope by rank: reverse postorder, depth first, children last to first."""
        seen: set[str] = set()
        postorder: list[str] = []

        def visit(node_id: str) -> None:
            if node_id in seen or self.home[node_id] != scope:
                return
            seen.add(node_id)
            for target in reversed([target for _, target in self.in_port_order(node_id)]):
                visit(target)
            postorder.append(node_id)

        for node_id in reversed(self.entries(scope)):
            visit(node_id)
        return postorder[::-1]


def unique(ids: list[str]) -> list[str]:
    """Remove duplicates, keeping the first."""
    return list(dict.fromkeys(ids))
