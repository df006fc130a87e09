"""Warn where a value from outside decides where a request or a mail goes, or what a database does.

From outside are what a webhook, an event or a `wait` received, and the parts of results that an action's schema marks
with `x-outside`, such as the body of an HTTP answer. Parameters that must not come from there are marked with
`x-trusted`; of a URL that is the host only.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.errors import TemplateSyntaxError
from orchestrator.jsontools.pointer import escape
from orchestrator.language import compile_template
from orchestrator.language.nodes import Node
from orchestrator.model.described_action import DescribedAction
from orchestrator.planner.data_flow.expressions import Inference, locate_text
from orchestrator.planner.data_flow.flow import Flow
from orchestrator.planner.data_flow.origins import explain_origin
from orchestrator.planner.data_flow.parameters import FORMAT, URL, read_model
from orchestrator.planner.data_flow.types import holds_outside
from orchestrator.planner.policies import ActionLike
from orchestrator.planner.report import Report

TRUSTED = "x-trusted"
"""Key of a parameter that no one outside may choose, as `activities.registry` declares it."""
HOST_ENDS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\\]*[/?#\\]")
"""A URL up to the character that ends its host."""
BASE = "base://base"
"""A value that is not from outside at the beginning of a URL: its scheme and its host."""
HINT = "compare it with a list of values first: a condition with the operator `in`"


def check_outside(
    spec: ActionLike, config: Mapping[str, Any], pointer: str, flow: Flow, inference: Inference, report: Report
) -> None:
    """Warn about trusted parameters of a call that a value from outside decides."""
    schema = spec.parameter_schema if isinstance(spec, DescribedAction) else read_model(spec.parameters)
    properties = schema.get("properties", {})
    for name, value in config.items():
        wanted = properties.get(name)
        if not isinstance(wanted, Mapping) or wanted.get(TRUSTED) is not True:
            continue
        is_url = wanted.get(FORMAT) == URL
        found = next(_find_outside(value, f"{pointer}/{escape(name)}", inference, is_url=is_url), None)
        if found is not None:
            at, where, node = found
            what = f"the host in `{name}`" if is_url else f"`{name}`"
            origin = explain_origin(node, flow, inference.state)
            report.add_warning("from_outside", at, f"{where}{what} of {spec.name} comes from outside: {origin}", HINT)


def _find_outside(value: Any, pointer: str, inference: Inference, *, is_url: bool) -> Iterator[tuple[str, str, Node]]:
    """Yield the expressions that bring in a value from outside: pointer, line and column, and syntax tree."""
    match value:
        case str() if "{{" in value:
            for node in _list_deciding(value, inference, is_url=is_url):
                if holds_outside(inference.infer(node)):
                    yield pointer, locate_text(value, getattr(node, "offset", 0)), node
        case list():
            for index, item in enumerate(value):
                yield from _find_outside(item, f"{pointer}/{index}", inference, is_url=is_url)


def _list_deciding(text: str, inference: Inference, *, is_url: bool) -> Iterator[Node]:
    """Yield the expressions of a template that decide it; of a URL those up to the end of its host."""
    try:
        template = compile_template(text)
    except TemplateSyntaxError:
        return
    before = ""
    for piece in template.pieces:
        if is_url and HOST_ENDS.match(before):
            return
        if isinstance(piece, str):
            before += piece
            continue
        yield piece
        texts = inference.infer(piece).texts or ()
        # Of several texts the one that leaves most open.
        before += min(texts, key=lambda one: bool(HOST_ENDS.match(before + one)), default="x") if before else BASE
