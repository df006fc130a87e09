"""Read what customers may name in their definitions, from the settings and the source of secrets."""

import logging

from activities.secrets import SecretSource, SecretsUnavailable
from orchestrator.errors import OperationRefused, SettingsError
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.permissions import EVERYONE, Permissions, find_queue_problem, is_owner
from orchestrator.model.plan import Plan
from orchestrator.model.plan_nodes import list_task_queues
from orchestrator.settings import PREFIX, Settings

logger = logging.getLogger(__name__)


class PermissionReader:
    """Reads the permissions of customers.

    Raises SettingsError where settings name a task queue that Temporal does not serve.
    """

    def __init__(self, settings: Settings, secrets: SecretSource) -> None:
        self.settings = settings
        self.secrets = secrets
        for variable, names in (("TASK_QUEUE", [settings.task_queue]), ("TASK_QUEUES", settings.task_queues or ())):
            for problem in filter(None, map(find_queue_problem, names)):
                raise SettingsError(f"{PREFIX}{variable}: {problem}")

    async def read(self, customer_id: str) -> Permissions:
        """Return the permissions of a customer. What is not configured here is unknown, and not checked."""
        try:
            known = await self.secrets.list_secrets()
        except SecretsUnavailable as error:
            logger.warning("definitions are checked without secrets: %s", error)
            known = []
        # The shared ones first, so that a customer's own replaces one of the same name.
        usable = sorted(
            (info for info in known if info.owner in (customer_id, EVERYONE)), key=lambda info: info.owner != EVERYONE
        )
        connections = self.settings.sql_connections
        return Permissions(
            customer_id=customer_id,
            secrets={info.name: info for info in usable} if known else None,
            sql_connections=sorted(name for name, each in connections.items() if is_owner(each.customers, customer_id))
            if connections
            else None,
            task_queues=self._list_task_queues(customer_id),
        )

    def require_task_queues(self, plan: Plan) -> None:
        """Raise OperationRefused where a plan names a task queue that its customer may not use, or may no longer."""
        own = self._list_task_queues(plan.customer_id)
        for name in list_task_queues(plan):
            problem = find_queue_problem(name, Permissions(task_queues=own))
            if problem is not None:
                raise OperationRefused(problem)

    def _list_task_queues(self, customer_id: str) -> list[str] | None:
        """Return the task queues that a customer may name; None is any."""
        queues = self.settings.task_queues
        if queues is None:
            return None if customer_id == DEFAULT_CUSTOMER else [self.settings.task_queue]
        return [self.settings.task_queue, *(name for name, owners in queues.items() if is_owner(owners, customer_id))]
