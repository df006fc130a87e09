"""Walk the nodes of a plan. Replay-sensitive."""

from collections.abc import Iterator

from orchestrator.model.plan import LATEST, Action, AnyNode, Call, Loop, Parallel, Plan, Scope


def iterate_nodes(scope: Scope) -> Iterator[AnyNode]:
    """Yield the nodes of a scope and of those inside it."""
    scopes = [scope]
    while scopes:
        for node in scopes.pop().nodes:
            yield node
            scopes.extend(list_inner_scopes(node))


def list_inner_scopes(node: object) -> list[Scope]:
    """Return the scopes that a node owns."""
    if isinstance(node, Loop):
        return [node.body]
    return [branch.scope for branch in node.branches] if isinstance(node, Parallel) else []


def list_scope_node_ids(scope: Scope) -> list[str]:
    """Return the ids of the nodes of a scope and of those inside it."""
    return [node.id for node in iterate_nodes(scope)]


def collect_node_ids(plan: Plan) -> set[str]:
    """Return the ids of all nodes of a plan."""
    return set(list_scope_node_ids(plan.scope))


def takes_latest(plan: Plan) -> bool:
    """Return whether a plan holds versions that were the newest when it was made."""
    return any(key.endswith(f"@{LATEST}") for key in plan.workflows)


def list_kept_calls(plan: Plan) -> set[str]:
    """Return the keys of called workflows that a plan reaches by others than those whose latest version it takes."""
    found: set[str] = set()
    scopes = [plan.scope]
    while scopes:
        for node in iterate_nodes(scopes.pop()):
            if isinstance(node, Call) and node.workflow not in found and not node.workflow.endswith(f"@{LATEST}"):
                found.add(node.workflow)
                scopes.append(plan.workflows[node.workflow].scope)
    return found


def list_task_queues(plan: Plan) -> list[str]:
    """Return the task queues that a plan and the plans it calls name."""
    queues: dict[str, None] = {}
    for each in (plan, *plan.workflows.values()):
        named = [each.task_queue]
        named += [node.task_queue for node in iterate_nodes(each.scope) if isinstance(node, Action)]
        queues |= dict.fromkeys(name for name in named if name)
    return list(queues)
