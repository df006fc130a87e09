"""Check the result that an operator gives an action: a run reads it as if the action had returned it. No I/O here.

A plan is read as JSON, because a newer release may have written it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from activities.registry import Registry
from orchestrator.errors import DefinitionInvalid, Problem
from orchestrator.jsontools.schema import find_problems


def require_valid_result(plan: Mapping[str, Any], registry: Registry, node_id: str | None, result: Any) -> None:
    """Raise DefinitionInvalid where the result that a node is given does not fit what its action returns."""
    node = next((node for node in _iterate_nodes(plan) if node["id"] == node_id), None)
    if node is None or node["kind"] != "action":
        return
    spec = registry.get(node["action"])
    registered = spec.describe()["result"] if spec is not None else None
    output = result if isinstance(result, dict) else {"result": result}
    for schema in (node.get("result_schema"), registered):
        problems = find_problems(schema, output) if schema else []
        if problems:
            raise DefinitionInvalid(
                Problem(each.severity, each.code, f"/result{each.path}", each.message, each.hint) for each in problems
            )


def _iterate_nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    scopes = [plan["scope"]]
    while scopes:
        for node in scopes.pop().get("nodes", ()):
            yield node
            scopes += [node["body"]] if "body" in node else []
            scopes += [branch["scope"] for branch in node.get("branches", ())]
