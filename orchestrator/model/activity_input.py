"""What an activity is sent: the wire contract of workers in any language (docs/actions.md).

Written by the workflow, read by `activities/runtime.py`. An activity gets this one argument and never the context of
the run, so that history grows with the work and not with its square (DESIGN, law 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.model.customers import DEFAULT_CUSTOMER


@dataclass(frozen=True, slots=True)
class ActivityInput:
    """The argument of an activity."""

    parameters: Any
    """The rendered parameters of the action; `null` where a secret belongs."""
    run_id: str
    workflow_id: str
    node_id: str
    idempotency_key: str
    """The same for every attempt of a step, different for every other step."""
    customer_id: str = DEFAULT_CUSTOMER
    secrets: Mapping[str, list[Any]] = field(default_factory=dict)
    """By JSON Pointer into the parameters: the parts of a string, each a text, `{"secret": name}`, or for our own
    workers alone `{"expression": …}` with pipes on a secret."""

    def to_json(self) -> dict[str, Any]:
        """Return the argument as it is recorded in history; without secrets, that entry is left out."""
        context = {
            "run_id": self.run_id,
            "workflow_id": self.workflow_id,
            "customer_id": self.customer_id,
            "node_id": self.node_id,
            "idempotency_key": self.idempotency_key,
        }
        entries = {"parameters": self.parameters, "context": context}
        return {**entries, "secrets": dict(self.secrets)} if self.secrets else entries

    @classmethod
    def from_json(cls, argument: Mapping[str, Any]) -> "ActivityInput":
        """Read the argument; whatever it lacks is empty, and the customer the default one."""
        context = argument.get("context") or {}
        return cls(
            parameters=argument.get("parameters") or {},
            run_id=str(context.get("run_id", "")),
            workflow_id=str(context.get("workflow_id", "")),
            node_id=str(context.get("node_id", "")),
            idempotency_key=str(context.get("idempotency_key", "")),
            customer_id=str(context.get("customer_id", DEFAULT_CUSTOMER)),
            secrets=argument.get("secrets") or {},
        )
