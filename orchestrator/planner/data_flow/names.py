"""List the names that a value of a definition may read, with their types: for editors."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from orchestrator.model.definition import Definition, Node
from orchestrator.planner import graph, regions, structure
from orchestrator.planner.data_flow import sources
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.places import find_state
from orchestrator.planner.data_flow.types import ANY, MAYBE_ANY, MISSING, State, Type
from orchestrator.planner.data_flow.walk import TooComplex
from orchestrator.planner.policies import Catalogue
from orchestrator.planner.precedence import Precedence
from orchestrator.planner.references import find_sites, is_template
from orchestrator.planner.report import Report
from orchestrator.planner.scoping import list_loop_variables, list_variables_set

MAX_NAMES = 2_000
MAX_LEVELS = 6
"""Levels of fields that are listed."""
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
UNWRITTEN = ("", "/when", "/on_error/fallback", "/compensate/config")
"""Places of a node where something can be written that it does not have yet; the first is the node itself."""
AT_START = ("/settings/keys", "/settings/notify")
"""Places outside the nodes that read what a run starts with."""
FILTER = "/trigger/config/filter"


@dataclass(frozen=True, slots=True)
class KnownName:
    """A path that a template may read."""

    name: str
    """As a template writes it."""
    type: str
    """Its kinds, in words."""
    may_be_missing: bool
    """Whether only some of the ways that lead here set it."""


def list_names(
    definition: Definition,
    pointer: str,
    registry: Catalogue | None,
    called: Mapping[str, Type],
    secrets: Iterable[str],
) -> list[KnownName]:
    """Return the names that the value at a JSON Pointer may read; none where nothing is computed.

    The definition may have errors: what can be read of it counts. `called` has the outputs of the workflows that it
    calls.
    """
    if _is_at(pointer, FILTER):
        return _list_some(sources.list_filter_names(definition.trigger))
    tree = regions.find_regions(graph.build_graph(definition, structure.check(definition, Report()), Report()))
    start: State = {name: sources.declare_variable(value) for name, value in definition.variables.items()}
    fixed = sources.list_fixed_types(definition)
    if any(_is_at(pointer, each) for each in AT_START):
        return _list_some({**start, **fixed}, secrets if _is_at(pointer, AT_START[1]) else ())
    for number, at in enumerate(tree.graph.pointers):
        if _is_at(pointer, at):
            node = tree.graph.nodes[number]
            place = _find_place(node, pointer.removeprefix(at))
            if place is None:
                return []
            flow = Flow(definition, tree, registry, _list_reads(definition, tree, number), called)
            known = _find_known(flow, number, place)
            takes_secrets = place.startswith("/compensate") or (node.type == "action" and place == "/config")
            return _list_some({**start, **known, **fixed}, secrets if takes_secrets else ())
    return []


def _is_at(pointer: str, place: str) -> bool:
    """Return whether a pointer leads to a place, or to a part of it."""
    return f"{pointer}/".startswith(f"{place}/")


def _find_place(node: Node, pointer: str) -> str | None:
    """Return the value of a node that a pointer leads into; None for one that no run computes."""
    places = [at for at, _, _ in find_sites(node, "")]
    found = [at for at in (*places, *UNWRITTEN[1:]) if _is_at(pointer, at)]
    return max(found, key=len, default="" if not pointer else None)


def _list_reads(definition: Definition, tree: regions.Regions, number: int) -> list[frozenset[str]]:
    """Return what each node is taken to read: this one everything that may be there, the others nothing."""
    precedence = Precedence(tree)
    names = {*definition.variables, *list_loop_variables(tree, number)}
    for other, node in enumerate(tree.graph.nodes):
        if other == number or precedence.may_precede(other, number):
            names |= {f"steps.{node.id}", *(name for name in list_variables_set(node) if not is_template(name))}
    reads: list[frozenset[str]] = [frozenset()] * len(tree.graph.nodes)
    reads[number] = frozenset(names)
    return reads


def _find_known(flow: Flow, number: int, place: str) -> State:
    try:
        flow.walk()
    except (TooComplex, RecursionError):
        return dict.fromkeys(flow.reads[number], MAYBE_ANY)
    return find_state(flow, number, place)


def _list_some(names: State, secrets: Iterable[str] = ()) -> list[KnownName]:
    readable = [name for name in names if name.startswith("steps.") or PLAIN.fullmatch(name)]
    ordered = sorted(readable, key=lambda name: (name.startswith("steps."), name))
    listed = (known for name in ordered for known in _list_name(_write_root(name), names[name], 0))
    own = (KnownName(f"secrets{_write_key(name)}", "text", may_be_missing=False) for name in sorted(secrets))
    return [*islice(listed, MAX_NAMES), *own]


def _list_name(name: str, known: Type, level: int) -> Iterator[KnownName]:
    """Yield a name, and the fields below it that can hold something."""
    if known == MISSING or (level and known.is_absent):
        return
    yield KnownName(name, _describe(known), known.may_be_absent)
    for key, part in known.fields.items() if level < MAX_LEVELS else ():
        yield from _list_name(f"{name}{_write_key(key)}", part, level + 1)


def _describe(known: Type) -> str:
    kinds = known.kinds - {"missing"}
    if kinds == ANY.kinds:
        return "any"
    words = [kind for kind in ("boolean", "number", "text", "list", "object", "null") if kind in kinds]
    return " or ".join("true or false" if kind == "boolean" else kind for kind in words) or "null"


def _write_root(name: str) -> str:
    return f"steps{_write_key(name.removeprefix('steps.'))}" if name.startswith("steps.") else name


def _write_key(key: str) -> str:
    return f".{key}" if PLAIN.fullmatch(key) else f"[{json.dumps(key, ensure_ascii=False)}]"
