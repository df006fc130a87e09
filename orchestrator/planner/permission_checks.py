"""Check that a definition names only what its customer may use: secrets, SQL connections and task queues (SPEC §3)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from orchestrator.language import Name
from orchestrator.model.definition import Definition
from orchestrator.model.permissions import (
    HOST_CHECKED,
    WEBHOOK,
    Permissions,
    SecretInfo,
    describe_forbidden_action,
    describe_forbidden_host,
    describe_missing_connection,
    describe_missing_secret,
    describe_weak_secret,
    find_queue_problem,
)
from orchestrator.planner.graph import Graph
from orchestrator.planner.policies import read_reminder_call
from orchestrator.planner.references import Use, collect_uses, is_template
from orchestrator.planner.report import Report

CONNECTIONS = {"sql.query": "connection"}
"""Actions that use SQL connections, each with the parameter that names one."""
SECRET_OF_WEBHOOK = "/trigger/config/secret"  # noqa: S105 - a pointer


@dataclass(frozen=True, slots=True)
class _ActionUse:
    """An action that a definition calls, and the pointer of its parameters."""

    action: str
    config: Mapping[str, Any]
    pointer: str


def check(definition: Definition, graph: Graph, uses: Iterable[Use], permissions: Permissions, report: Report) -> None:
    """Report what the customer may not use; a secret that is missing is a warning, as it may be set later."""
    calls = list(_iterate_calls(definition, graph))
    if permissions.secrets is not None:
        by_pointer = {call.pointer: call for call in calls}
        for pointer, name in uses:
            call = _find_call(pointer, by_pointer) if name.root == "secrets" else None
            if call is not None:
                _check_secret(pointer, name, call.action, permissions, report)
                _check_host(pointer, permissions.secrets.get(str(name.path[0])), call, report)
        _check_webhook_secret(definition, permissions, report)
    if permissions.sql_connections is not None:
        _check_connections(calls, permissions.sql_connections, report)
    _check_task_queues(definition, graph, permissions, report)


def _iterate_calls(definition: Definition, graph: Graph) -> Iterator[_ActionUse]:
    for node, pointer in zip(graph.nodes, graph.pointers, strict=True):
        if node.type == "action":
            yield _ActionUse(node.action, node.config, f"{pointer}/config")
        if node.type in ("action", "workflow") and node.compensate is not None:
            yield from _read_side_call(node.compensate, f"{pointer}/compensate")
        yield from _read_side_call(read_reminder_call(node), f"{pointer}/config/approval/reminder")
    yield from _read_side_call(definition.settings.notify, "/settings/notify")


def _read_side_call(call: Any, pointer: str) -> Iterator[_ActionUse]:
    if isinstance(call, Mapping) and isinstance(call.get("action"), str):
        config = call.get("config")
        yield _ActionUse(call["action"], config if isinstance(config, Mapping) else {}, f"{pointer}/config")


def _find_call(pointer: str, calls: Mapping[str, _ActionUse]) -> _ActionUse | None:
    """Return the call whose parameters contain a pointer."""
    parts = pointer.split("/")
    return next((calls[at] for end in range(len(parts)) if (at := "/".join(parts[: end + 1])) in calls), None)


def _check_host(pointer: str, secret: SecretInfo | None, call: _ActionUse, report: Report) -> None:
    """Report a literal URL of a host that the secret may not be sent to; the action checks computed ones."""
    url = call.config.get("url")
    if secret is None or call.action not in HOST_CHECKED or not isinstance(url, str) or is_template(url):
        return
    try:
        host = urlsplit(url).hostname or ""
        ascii_host = host.encode("idna").decode()
    except ValueError:
        return  # not a URL, which the action reports
    if host and not secret.allows_host(ascii_host):
        report.add_error("forbidden_secret", pointer, describe_forbidden_host(secret.name, host))


def _check_secret(pointer: str, name: Name, action: str, permissions: Permissions, report: Report) -> None:
    secret = (permissions.secrets or {}).get(str(name.path[0]))
    if secret is None:
        report.add_warning(
            "missing_secret", pointer, describe_missing_secret(str(name.path[0]), permissions.customer_id)
        )
    elif not secret.allows_action(action):
        report.add_error("forbidden_secret", pointer, describe_forbidden_action(secret.name, action))


def _check_webhook_secret(definition: Definition, permissions: Permissions, report: Report) -> None:
    """Check the secret of a webhook, which cannot be one that customers share: requests could guess it."""
    secret = definition.trigger.config.get("secret")
    if definition.trigger.type != "webhook" or not isinstance(secret, str | list):
        return
    for pointer, name in collect_uses([(SECRET_OF_WEBHOOK, secret, "secret")], Report()):
        if name.root == "secrets":
            info = (permissions.secrets or {}).get(str(name.path[0]))
            own = info is not None and info.owner == permissions.customer_id
            known = {str(name.path[0]): info} if own and info is not None else {}
            _check_secret(pointer, name, WEBHOOK, Permissions(permissions.customer_id, secrets=known), report)
            if own and info is not None and info.is_short:
                report.add_warning("weak_secret", pointer, describe_weak_secret(f"the secret {info.name!r:.60}"))


def _check_connections(calls: Iterable[_ActionUse], known: Iterable[str], report: Report) -> None:
    own = list(known)
    for call in calls:
        parameter = CONNECTIONS.get(call.action)
        name = call.config.get(parameter) if parameter else None
        if isinstance(name, str) and not is_template(name) and name not in own:
            message = describe_missing_connection(name, own)
            report.add_error("unknown_connection", f"{call.pointer}/{parameter}", message)


def _check_task_queues(definition: Definition, graph: Graph, permissions: Permissions, report: Report) -> None:
    named = [(definition.settings.task_queue, "/settings/task_queue")]
    named += [
        (node.task_queue, f"{pointer}/task_queue") for node, pointer in zip(graph.nodes, graph.pointers, strict=True)
    ]
    for name, pointer in named:
        problem = find_queue_problem(name, permissions) if name else None
        if problem is not None:
            report.add_error("bad_task_queue", pointer, problem)
