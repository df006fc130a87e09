"""What the definitions of one customer may name: secrets, SQL connections and task queues. No values, no I/O.

Used by the planner before a run and by actions during one, so that both refuse the same with the same message.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from orchestrator.model.customers import DEFAULT_CUSTOMER

EVERYONE = "*"
"""The owner of what all customers may use."""
HOST_CHECKED = ("http.request", "notify.webhook")
"""Actions that check for each request whether its host may be sent the secrets it contains."""
RECORDED = ("event.emit",)
"""Actions whose parameters are stored: an event is in its delivery, and in the trigger and history of each run."""
MIN_SIGNING_SECRET = 16
"""Characters of a webhook's secret; a shorter one can be found from one signature by trying."""
WEBHOOK = "webhook"
"""Stands in `actions` for the signatures of webhooks."""
VARIABLE = re.compile(r"[a-z0-9_]+")
"""Names of secrets that an environment variable can set."""
RESERVED_QUEUES = ("temporal-sys", "/_sys")
"""Prefixes of Temporal's own task queues."""
MAX_QUEUE = 200
"""Characters in the name of a task queue; Temporal adds its own to names of partitions."""


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """A secret without its value."""

    name: str
    owner: str
    """A customer, or `*`."""
    hosts: tuple[str, ...] | None = None
    """Hosts that it may be sent to, such as `api.example.com` or `*.example.com`; None is any."""
    actions: tuple[str, ...] | None = None
    """Actions that it may be given to; None is those of `HOST_CHECKED` if it has hosts, else all but `RECORDED`."""
    is_short: bool = field(default=False, compare=False)
    """Whether its value is known here and has fewer than MIN_SIGNING_SECRET characters."""

    def allows_action(self, action: str) -> bool:
        """Return whether the secret may be a parameter of an action."""
        if self.actions is not None:
            return action in self.actions
        return action in HOST_CHECKED if self.hosts is not None else action not in RECORDED

    def allows_host(self, host: str) -> bool:
        """Return whether the secret may be sent to a host, in ASCII and without a port."""
        if self.hosts is None:
            return True
        name = host.lower().rstrip(".")
        return any(
            name.endswith(pattern[1:].lower()) if pattern.startswith("*.") else name == pattern.lower()
            for pattern in self.hosts
        )


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one customer may name; None where this process does not know, so that nothing is reported."""

    customer_id: str = DEFAULT_CUSTOMER
    secrets: Mapping[str, SecretInfo] | None = None
    sql_connections: Collection[str] | None = None
    task_queues: Collection[str] | None = None


UNKNOWN = Permissions()
"""Permissions of a check that knows nothing of the installation."""


def is_owner(owners: Collection[str] | None, customer_id: str) -> bool:
    """Return whether a customer is among the owners; None is the default customer."""
    return EVERYONE in owners or customer_id in owners if owners is not None else customer_id == DEFAULT_CUSTOMER


def describe_missing_secret(name: str, customer_id: str) -> str:
    """Return that a secret is missing, and what to set; one of another customer is described alike."""
    variable = customer_id == DEFAULT_CUSTOMER and VARIABLE.fullmatch(name)
    setting = f"set ORCHESTRATOR_SECRET_{name.upper()}, or " if variable else ""
    return (
        f"there is no secret {name!r:.60}: {setting}add it under {customer_id!r:.60} to the ORCHESTRATOR_SECRETS_FILE"
    )


def describe_weak_secret(what: str) -> str:
    """Return that the secret of a webhook is too short."""
    return f"{what} has fewer than {MIN_SIGNING_SECRET} characters: signatures made with it can be guessed"


def describe_forbidden_action(name: str, action: str) -> str:
    """Return that a secret may not be given to an action."""
    if action in RECORDED:
        return f"the secret {name!r:.60} may not be given to {action}, which is stored: its `actions` do not name it"
    return f"the secret {name!r:.60} may not be given to {action:.60}: its `hosts` or `actions` do not allow it"


def describe_forbidden_host(name: str, host: str) -> str:
    """Return that a secret may not be sent to a host."""
    return f"the secret {name!r:.60} may not be sent to {host:.100}: this host is not in its `hosts`"


def describe_missing_connection(name: str, known: Collection[str]) -> str:
    """Return that a customer has no such SQL connection; only its own are listed."""
    listed = ", ".join(sorted(known)) or "none"
    return f"there is no connection {name!r:.60} in ORCHESTRATOR_SQL_CONNECTIONS for this customer (it has: {listed})"


def find_queue_problem(name: str, permissions: Permissions = UNKNOWN) -> str | None:
    """Return why a task queue cannot be used by a customer, or None if it can."""
    if name.startswith(RESERVED_QUEUES):
        return f"the task queue {name!r:.60} is reserved for Temporal"
    if len(name) > MAX_QUEUE:
        return f"the name of the task queue has {len(name):,} characters; the limit is {MAX_QUEUE}"
    if not name.isprintable() or name != name.strip():
        return f"the task queue {name!r:.60} contains control characters, or spaces at an end"
    if permissions.task_queues is not None and name not in permissions.task_queues:
        return f"there is no task queue {name!r:.60} for this customer in ORCHESTRATOR_TASK_QUEUES"
    return None
