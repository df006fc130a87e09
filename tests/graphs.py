"""Hypothesis strategies for definitions: well-formed blocks with edges across them, and wild graphs."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

VARIABLES = ("v0", "v1", "v2")
VALUES = (True, False, None)
PORTS = {
    "action": ("next", "error"),
    "set": ("next",),
    "delay": ("next",),
    "wait": ("next", "timeout"),
    "condition": ("true", "false"),
    "switch": ("yes", "no", "default"),
    "loop": ("next", "body", "error"),
    "parallel": ("next", "branch", "error"),
    "end": (),
}
SIMPLE = ("action", "set", "delay", "wait", "end")
SHAPES = ("simple", "sequence", "sequence", "choice", "switch", "fork", "loop", "parallel", "cycle")

Tail = tuple[str, str]
"""A node and a port that the next block is to be attached to."""


@dataclass(frozen=True)
class Generated:
    """A definition and the answers of its actions, by action name; `"fail"` is a failure."""

    definition: dict[str, Any]
    answers: dict[str, list[Any]]

    @property
    def mocks(self) -> dict[str, Any]:
        """The answers in the form of SPEC §11."""
        failure = {"error": {"message": "no", "error_type": "action_error", "recoverable": False}}
        return {
            name: [failure if answer == "fail" else {"output": answer} for answer in answers]
            for name, answers in self.answers.items()
        }


@dataclass
class Builder:
    """Collects nodes and edges while blocks are drawn."""

    draw: Any
    beside: bool
    """Some loops run iterations beside each other: then answers must not depend on the order of calls."""
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=dict)

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def edge(self, source: str, port: str, target: str) -> None:
        condition = None if port == "next" else port
        self.edges.append({"id": f"e{len(self.edges)}", "source": source, "target": target, "condition": condition})

    def connect(self, tails: list[Tail], target: str) -> None:
        for source, port in tails:
            self.edge(source, port, target)

    def node(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"id": f"n{len(self.nodes)}", "type": kind}
        self.nodes.append(node)
        getattr(self, f"make_{kind}", lambda _: None)(node)
        return node

    def test(self) -> dict[str, Any]:
        return {"field": self.one_of(*VARIABLES), "operator": "equals", "value": self.one_of(True, False)}

    def make_action(self, node: dict[str, Any]) -> None:
        name = self.one_of(*VARIABLES)
        answer = st.sampled_from(({name: True}, {name: False}, {name: True}, {name: False}, "fail"))
        node |= {"action": f"act.{node['id']}", "outputs": [name]}
        self.answers[node["action"]] = self.draw(st.lists(answer, min_size=1, max_size=1 if self.beside else 4))
        self.decorate(node)

    def decorate(self, node: dict[str, Any]) -> None:
        match self.one_of(*range(8)):
            case 0:
                node["when"] = self.test()
            case 1 if node["type"] == "action":
                node["on_error"] = "skip"

    def make_set(self, node: dict[str, Any]) -> None:
        values = st.sampled_from((True, False, "{{ v0 }}", "{{ v1 }}", "{{ item }}", "{{ item_index }}"))
        node["config"] = self.draw(st.dictionaries(st.sampled_from(VARIABLES), values, min_size=1, max_size=2))
        self.decorate(node)

    def make_delay(self, node: dict[str, Any]) -> None:
        node["delay_seconds"] = self.one_of(0, 1, 60)

    def make_wait(self, node: dict[str, Any]) -> None:
        node["config"] = {"event": "never", "timeout_seconds": self.one_of(1, 5)}

    def make_end(self, node: dict[str, Any]) -> None:
        node["config"] = self.one_of({}, {}, {"output": {"at": node["id"]}}, {"outcome": "failed"})

    def make_condition(self, node: dict[str, Any]) -> None:
        node["condition"] = self.test()

    def make_switch(self, node: dict[str, Any]) -> None:
        node["config"] = {
            "value": f"{{{{ {self.one_of(*VARIABLES)} }}}}",
            "cases": {"yes": True, "no": False},
        }

    def make_loop(self, node: dict[str, Any]) -> None:
        config: dict[str, Any] = {}
        if self.beside and self.one_of(True, False):
            config |= {"max_concurrency": 2, "on_item_error": "continue"}
        elif self.one_of(True, False):
            config["on_item_error"] = "continue"
        if not self.beside and self.one_of(*range(4)) == 0:
            config["break_when"] = self.test()
        node |= {
            "collection": self.one_of(0, 1, 2, 3, [True, False]),
            "item_variable": self.one_of("item", "item", "w"),
            "config": config,
        }

    def make_parallel(self, node: dict[str, Any]) -> None:
        node["config"] = {"on_branch_error": "wait", "mode": self.one_of("child", "inline")}

    def enter(self, node: dict[str, Any], port: str, key: str | None, entry: str, inside: list[str]) -> None:
        """Attach a block to a port: by an edge, or by a list that may name other nodes of the block too."""
        if key is None or self.one_of(True, False, False):
            self.edge(node["id"], port, entry)
            return
        more = self.draw(st.lists(st.sampled_from(inside), max_size=2)) if self.one_of(*range(3)) == 0 else []
        listed = [*more, entry] if self.one_of(True, False) else [entry, *more]
        if key == "branches":
            node.setdefault(key, []).append(listed)
        else:
            node[key] = listed

    def block(self, depth: int) -> tuple[str, list[Tail]]:
        """Draw a block: the node it starts with and what it leaves open."""
        shape = self.one_of(*SHAPES) if depth > 0 else "simple"
        return getattr(self, f"block_{shape}")(depth - 1)  # type: ignore[no-any-return]

    def inner(self, depth: int) -> tuple[str, list[Tail], list[str]]:
        """Draw a block and name its nodes."""
        before = len(self.nodes)
        entry, tails = self.block(depth)
        return entry, tails, [node["id"] for node in self.nodes[before:]]

    def block_simple(self, depth: int) -> tuple[str, list[Tail]]:
        kind = self.one_of(*SIMPLE[: 4 if self.one_of(*range(3)) else 5])
        node = self.node(kind)
        ports = [port for port in PORTS[kind] if port != "error"]
        return node["id"], [(node["id"], port) for port in ports]

    def block_sequence(self, depth: int) -> tuple[str, list[Tail]]:
        first, tails = self.block(depth)
        for _ in range(self.one_of(1, 2)):
            entry, later = self.block(depth)
            self.connect(tails, entry)
            tails = later if tails else []
            if not tails:
                break
        return first, tails

    def block_choice(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.node("condition")
        tails: list[Tail] = []
        for port, key in (("true", "true_branch"), ("false", "false_branch")):
            if self.one_of(*range(4)) == 0:
                tails.append((node["id"], port))
                continue
            entry, open_, inside = self.inner(depth)
            self.enter(node, port, key, entry, inside)
            tails += open_
        return node["id"], tails

    def block_switch(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.node("switch")
        tails: list[Tail] = []
        for port in PORTS["switch"]:
            if self.one_of(True, False):
                entry, open_ = self.block(depth)
                self.edge(node["id"], port, entry)
                tails += open_
            else:
                tails.append((node["id"], port))
        return node["id"], tails

    def block_fork(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.node("set")
        tails: list[Tail] = []
        for _ in range(self.one_of(2, 3)):
            entry, open_ = self.block(depth)
            self.edge(node["id"], "next", entry)
            tails += open_
        return node["id"], tails

    def block_loop(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.node("loop")
        entry, tails, inside = self.inner(depth)
        self.enter(node, "body", "body", entry, inside)
        if self.one_of(True, False):
            self.connect(tails, node["id"])
        return node["id"], self.handled(node, depth)

    def block_parallel(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.node("parallel")
        for _ in range(self.one_of(1, 2, 2, 3)):
            entry, _tails, inside = self.inner(depth)
            self.enter(node, "branch", "branches", entry, inside)
        return node["id"], self.handled(node, depth)

    def handled(self, node: dict[str, Any], depth: int) -> list[Tail]:
        """Leave by next, and sometimes by an error edge to a handler."""
        tails = [(node["id"], "next")]
        if self.one_of(*range(3)) == 0:
            entry, open_ = self.block(min(depth, 0))
            self.edge(node["id"], "error", entry)
            tails += open_
        return tails

    def block_cycle(self, depth: int) -> tuple[str, list[Tail]]:
        entry, tails = self.block(depth)
        if not tails:
            return entry, []
        asked, node = self.node("action"), self.node("condition")
        name, value = node["condition"]["field"], node["condition"]["value"]
        more = 0 if self.beside else self.one_of(0, 1, 2)
        self.answers[asked["action"]] = [{name: value}] * more + [{name: not value}]
        asked["outputs"] = [name]
        self.connect(tails, asked["id"])
        self.edge(asked["id"], "next", node["id"])
        self.edge(node["id"], "true", entry)
        return entry, [(node["id"], "false")]

    def cross(self) -> None:
        """Add an edge from anywhere to anywhere."""
        source = self.draw(st.sampled_from(self.nodes))
        ports = PORTS[source["type"]]
        if ports:
            port = self.draw(st.sampled_from(ports))
            self.edge(source["id"], port, self.draw(st.sampled_from(self.nodes))["id"])

    def finish(self) -> Generated:
        variables = self.draw(st.dictionaries(st.sampled_from((*VARIABLES, "w")), st.sampled_from((True, False))))
        definition = {
            "id": "generated",
            "name": "Generated",
            "customer_id": "property",
            "trigger": {"type": "manual"},
            "variables": variables,
            "settings": {"max_steps": 150, "step_log_limit": 10_000},
            "nodes": self.nodes,
            "edges": self.edges,
        }
        return Generated(definition, self.answers)


@st.composite
def structured(draw: Any, *, crossing: int = 0) -> Generated:
    """Blocks within blocks, with up to so many edges across them."""
    builder = Builder(draw, beside=draw(st.sampled_from((False, False, True))))
    entry, tails = builder.block(3)
    if tails and draw(st.booleans()):
        last, _ = builder.block(0)
        builder.connect(tails, last)
    builder.edge("trigger", "next", entry)
    for _ in range(draw(st.integers(0, crossing))):
        builder.cross()
    return builder.finish()


@st.composite
def wild(draw: Any) -> Generated:
    """Nodes, edges and lists without any plan."""
    builder = Builder(draw, beside=False)
    kinds = st.sampled_from(tuple(PORTS))
    for kind in draw(st.lists(kinds, min_size=1, max_size=9)):
        builder.node(kind)
    some = st.sampled_from([node["id"] for node in builder.nodes])
    ids = st.lists(some, max_size=3)
    for node in builder.nodes:
        match node["type"]:
            case "loop":
                node["body"] = draw(ids)
            case "parallel":
                node["branches"] = draw(st.lists(ids, max_size=3))
            case "condition":
                node |= {"true_branch": draw(ids), "false_branch": draw(ids)}
    builder.edge("trigger", "next", draw(some))
    for _ in range(draw(st.integers(0, 14))):
        builder.cross()
    return builder.finish()
