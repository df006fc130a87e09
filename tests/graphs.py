"""Hypothesis strategies for definitions: well-formed blocks with crossing edges, and wild graphs."""

from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from hypothesis import strategies as st

Kind = Literal["action", "set", "delay", "wait", "condition", "switch", "loop", "parallel", "end"]
Shape = Literal["simple", "sequence", "choice", "switch", "fork", "loop", "parallel", "cycle"]

VARIABLES = ("v0", "v1", "v2")
VALUES = (True, False, None)
NAMES = {"good": "v1", "other": "v2", "more": "computed", "reserved": "steps", "empty": ""}
"""Variables of rich graphs: names that keys are computed from. The last two fail their step."""
PORTS: dict[Kind, tuple[str, ...]] = {
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
SIMPLE: tuple[Kind, ...] = ("action", "set", "delay", "wait", "end")
SHAPES: tuple[Shape, ...] = ("simple", "sequence", "sequence", "choice", "switch", "fork", "loop", "parallel", "cycle")

Tail = tuple[str, str]
"""A node and a port to attach the next block to."""

MAX_STEPS = 150
"""Settings of every graph: cycles end here."""


@dataclass(frozen=True)
class Generated:
    """A definition and the answers of its actions, by action name; `"fail"` is a failure."""

    definition: dict[str, Any]
    answers: dict[str, list[Any]]

    @property
    def mocks(self) -> dict[str, Any]:
        """The answers as `simulate --actions` takes them."""
        failure = {"error": {"message": "no", "error_type": "action_error", "recoverable": False}}
        return {
            name: [failure if answer == "fail" else {"output": answer} for answer in answers]
            for name, answers in self.answers.items()
        }


@dataclass
class Builder:
    """Collects nodes and edges while blocks are drawn."""

    draw: Any
    concurrent: bool
    """Some loops run iterations concurrently: answers must not depend on the order of calls."""
    nodes: list[dict[str, Any]] = field(default_factory=list)
    edges: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=dict)
    rich: bool = False
    """Draws what the reference does not know, with delays that a real clock can bear."""
    snapshots: int = 1
    """How many values may still copy all steps: each copies those before it, too."""

    def choose(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def add_edge(self, source: str, port: str, target: str) -> None:
        condition = None if port == "next" else port
        self.edges.append({"id": f"e{len(self.edges)}", "source": source, "target": target, "condition": condition})

    def connect(self, tails: list[Tail], target: str) -> None:
        for source, port in tails:
            self.add_edge(source, port, target)

    def add_node(self, kind: Kind) -> dict[str, Any]:
        node: dict[str, Any] = {"id": f"n{len(self.nodes)}", "type": kind}
        self.nodes.append(node)
        self.fill(kind, node)
        return node

    def fill(self, kind: Kind, node: dict[str, Any]) -> None:
        """Draw what a node of this type holds beside its id."""
        match kind:
            case "action":
                self.fill_action(node)
            case "set":
                self.fill_set(node)
            case "delay":
                node["delay_seconds"] = self.choose(0, 0.01, 0.05) if self.rich else self.choose(0, 1, 60)
            case "wait":
                limit = self.choose(0.01, 0.1) if self.rich else self.choose(1, 5)
                node["config"] = {"event": "never", "timeout_seconds": limit}
            case "condition":
                node["condition"] = self.draw_condition()
            case "switch":
                node["config"] = {"value": f"{{{{ {self.choose(*VARIABLES)} }}}}", "cases": {"yes": True, "no": False}}
            case "loop":
                self.fill_loop(node)
            case "parallel":
                node["config"] = {"on_branch_error": "wait", "mode": self.choose("child", "inline")}
            case "end":
                node["config"] = self.choose({}, {}, {"output": {"at": node["id"]}}, {"outcome": "failed"})
            case _:
                assert_never(kind)

    def draw_condition(self) -> dict[str, Any]:
        return {"field": self.choose(*VARIABLES), "operator": "equals", "value": self.choose(True, False)}

    def fill_action(self, node: dict[str, Any]) -> None:
        name = self.choose(*VARIABLES)
        answer = st.sampled_from(({name: True}, {name: False}, {name: True}, {name: False}, "fail"))
        node |= {"action": f"act.{node['id']}", "outputs": [name]}
        self.answers[node["action"]] = self.draw(st.lists(answer, min_size=1, max_size=1 if self.concurrent else 4))
        if self.rich and self.choose(True, False):
            node["compensate"] = {"action": "undo", "config": {"of": node["id"]}}
        self.decorate(node)

    def decorate(self, node: dict[str, Any]) -> None:
        match self.choose(*range(8)):
            case 0:
                node["when"] = self.draw_condition()
            case 1 if node["type"] == "action":
                node["on_error"] = "skip"

    def fill_set(self, node: dict[str, Any]) -> None:
        values = st.sampled_from((True, False, "{{ v0 }}", "{{ v1 }}", "{{ item }}", "{{ item_index }}"))
        node["config"] = self.draw(st.dictionaries(st.sampled_from(VARIABLES), values, min_size=1, max_size=2))
        if self.rich:
            self.enrich_set(node["config"])
        self.decorate(node)

    def enrich_set(self, config: dict[str, Any]) -> None:
        """Draw a computed key, which some runs may not have, and the whole of a container."""
        if self.choose(True, False):
            config[f"{{{{ {self.choose(*['good', 'other', 'more'] * 3, *NAMES)} }}}}"] = self.choose(
                True, "{{ input.rows }}", "{{ item }}"
            )
        match self.choose("plain", "input", "steps"):
            case "input":
                config[self.choose(*VARIABLES)] = self.choose(
                    "{{ input }}", "{{ input.rows }}", "{{ [input, trigger] }}"
                )
            case "steps" if self.snapshots > 0:
                self.snapshots -= 1
                config[self.choose(*VARIABLES)] = self.choose("{{ steps }}", "{{ [steps] }}")

    def fill_loop(self, node: dict[str, Any]) -> None:
        config: dict[str, Any] = {}
        if self.concurrent and self.choose(True, False):
            config |= {"max_concurrency": 2, "on_item_error": "continue"}
        elif self.choose(True, False):
            config["on_item_error"] = "continue"
        if self.rich and self.choose(True, False):
            config["collect"] = self.choose("{{ item_index }}", "{{ v0 }}", "{{ input.rows }}")
        if not self.concurrent and self.choose(*range(4)) == 0:
            config["break_when"] = self.draw_condition()
        node |= {
            "collection": self.choose(0, 1, 2, 3, [True, False]),
            "item_variable": self.choose("item", "item", "w"),
            "config": config,
        }

    def enter(self, node: dict[str, Any], port: str, key: str | None, entry: str, inside: list[str]) -> None:
        """Attach a block to a port: by an edge, or by a list that may name other nodes of the block too."""
        if key is None or self.choose(True, False, False):
            self.add_edge(node["id"], port, entry)
            return
        more = self.draw(st.lists(st.sampled_from(inside), max_size=2)) if self.choose(*range(3)) == 0 else []
        listed = [*more, entry] if self.choose(True, False) else [entry, *more]
        if key == "branches":
            node.setdefault(key, []).append(listed)
        else:
            node[key] = listed

    def draw_block(self, depth: int) -> tuple[str, list[Tail]]:
        """Draw a block; return its first node and its open tails."""
        shape: Shape = self.choose(*SHAPES) if depth > 0 else "simple"
        match shape:
            case "simple":
                return self.draw_simple()
            case "sequence":
                return self.draw_sequence(depth - 1)
            case "choice":
                return self.draw_choice(depth - 1)
            case "switch":
                return self.draw_switch(depth - 1)
            case "fork":
                return self.draw_fork(depth - 1)
            case "loop":
                return self.draw_loop(depth - 1)
            case "parallel":
                return self.draw_parallel(depth - 1)
            case "cycle":
                return self.draw_cycle(depth - 1)
            case _:
                assert_never(shape)

    def draw_inner(self, depth: int) -> tuple[str, list[Tail], list[str]]:
        """Draw a block; return the ids of its nodes too."""
        before = len(self.nodes)
        entry, tails = self.draw_block(depth)
        return entry, tails, [node["id"] for node in self.nodes[before:]]

    def draw_simple(self) -> tuple[str, list[Tail]]:
        kind = self.choose(*SIMPLE[: 4 if self.choose(*range(3)) else 5])
        node = self.add_node(kind)
        ports = [port for port in PORTS[kind] if port != "error"]
        return node["id"], [(node["id"], port) for port in ports]

    def draw_sequence(self, depth: int) -> tuple[str, list[Tail]]:
        first, tails = self.draw_block(depth)
        for _ in range(self.choose(1, 2)):
            entry, later = self.draw_block(depth)
            self.connect(tails, entry)
            tails = later if tails else []
            if not tails:
                break
        return first, tails

    def draw_choice(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.add_node("condition")
        tails: list[Tail] = []
        for port, key in (("true", "true_branch"), ("false", "false_branch")):
            if self.choose(*range(4)) == 0:
                tails.append((node["id"], port))
                continue
            entry, open_, inside = self.draw_inner(depth)
            self.enter(node, port, key, entry, inside)
            tails += open_
        return node["id"], tails

    def draw_switch(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.add_node("switch")
        tails: list[Tail] = []
        for port in PORTS["switch"]:
            if self.choose(True, False):
                entry, open_ = self.draw_block(depth)
                self.add_edge(node["id"], port, entry)
                tails += open_
            else:
                tails.append((node["id"], port))
        return node["id"], tails

    def draw_fork(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.add_node("set")
        tails: list[Tail] = []
        for _ in range(self.choose(2, 3)):
            entry, open_ = self.draw_block(depth)
            self.add_edge(node["id"], "next", entry)
            tails += open_
        return node["id"], tails

    def draw_loop(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.add_node("loop")
        entry, tails, inside = self.draw_inner(depth)
        self.enter(node, "body", "body", entry, inside)
        if self.choose(True, False):
            self.connect(tails, node["id"])
        return node["id"], self.leave(node, depth)

    def draw_parallel(self, depth: int) -> tuple[str, list[Tail]]:
        node = self.add_node("parallel")
        for _ in range(self.choose(1, 2, 2, 3)):
            entry, _tails, inside = self.draw_inner(depth)
            self.enter(node, "branch", "branches", entry, inside)
        return node["id"], self.leave(node, depth)

    def leave(self, node: dict[str, Any], depth: int) -> list[Tail]:
        """Leave by next, and sometimes by an error edge to a handler."""
        tails = [(node["id"], "next")]
        if self.choose(*range(3)) == 0:
            entry, open_ = self.draw_block(min(depth, 0))
            self.add_edge(node["id"], "error", entry)
            tails += open_
        return tails

    def draw_cycle(self, depth: int) -> tuple[str, list[Tail]]:
        entry, tails = self.draw_block(depth)
        if not tails:
            return entry, []
        asked, node = self.add_node("action"), self.add_node("condition")
        name, value = node["condition"]["field"], node["condition"]["value"]
        more = 0 if self.concurrent else self.choose(0, 1, 2)
        self.answers[asked["action"]] = [{name: value}] * more + [{name: not value}]
        asked["outputs"] = [name]
        self.connect(tails, asked["id"])
        self.add_edge(asked["id"], "next", node["id"])
        self.add_edge(node["id"], "true", entry)
        return entry, [(node["id"], "false")]

    def add_crossing(self) -> None:
        """Add an edge from anywhere to anywhere."""
        source = self.draw(st.sampled_from(self.nodes))
        ports = PORTS[source["type"]]
        if ports:
            port = self.draw(st.sampled_from(ports))
            self.add_edge(source["id"], port, self.draw(st.sampled_from(self.nodes))["id"])

    def finish(self) -> Generated:
        variables = self.draw(st.dictionaries(st.sampled_from((*VARIABLES, "w")), st.sampled_from((True, False))))
        if self.rich:
            variables |= NAMES
        definition = {
            "id": "generated",
            "name": "Generated",
            "customer_id": "property",
            "trigger": {"type": "manual"},
            "variables": variables,
            "settings": {"max_steps": MAX_STEPS, "step_log_limit": 10_000},
            "nodes": self.nodes,
            "edges": self.edges,
        }
        return Generated(definition, self.answers)


@st.composite
def draw_structured(draw: Any, *, crossing: int = 0, rich: bool = False) -> Generated:
    """Draw nested blocks with up to `crossing` edges across them.

    Rich ones have computed keys, whole containers and compensations as well.
    """
    builder = Builder(draw, concurrent=draw(st.sampled_from((False, False, True))), rich=rich)
    entry, tails = builder.draw_block(3)
    if tails and draw(st.booleans()):
        last, _ = builder.draw_block(0)
        builder.connect(tails, last)
    builder.add_edge("trigger", "next", entry)
    for _ in range(draw(st.integers(0, crossing))):
        builder.add_crossing()
    return builder.finish()


@st.composite
def draw_wild(draw: Any) -> Generated:
    """Draw nodes, edges and lists at random."""
    builder = Builder(draw, concurrent=False)
    kinds = st.sampled_from(tuple(PORTS))
    for kind in draw(st.lists(kinds, min_size=1, max_size=9)):
        builder.add_node(kind)
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
    builder.add_edge("trigger", "next", draw(some))
    for _ in range(draw(st.integers(0, 14))):
        builder.add_crossing()
    return builder.finish()
