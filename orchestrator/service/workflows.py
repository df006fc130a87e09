"""The life of a workflow: saved, published, paused, archived, deleted; every change also settles its trigger."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from orchestrator.errors import DefinitionInvalid, OperationRefused, Problem
from orchestrator.model.run import format_timestamp
from orchestrator.model.usage import UsageSum
from orchestrator.service.changes import Change, find_changes
from orchestrator.service.plans import Plans, normalize
from orchestrator.service.reconciler import Reconciler
from orchestrator.store.database import StoreUnavailable
from orchestrator.store.records import ACTIVE, ARCHIVED, PAUSED, Caller, Stored, Version
from orchestrator.store.run_index import Counts, RunIndex
from orchestrator.store.usage import sum_usage
from orchestrator.store.workflows import Definitions, require_revision

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the runs of a workflow did."""

    counts: Counts
    durations: dict[str, int | None]
    """Percentiles of the duration of completed runs, in milliseconds."""
    usage: UsageSum


@dataclass(frozen=True, slots=True)
class Activation:
    """An activated workflow, and the likely mistakes in it, such as secrets that are missing."""

    stored: Stored
    warnings: list[Problem]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changes from one version of a workflow to another."""

    before: int
    """0 is the working copy."""
    after: int
    changes: list[Change]


class Workflows:
    """The workflows of all customers. `None` as the customer means any, where only one has the workflow.

    `revision` is the revision that the caller has read, or `None` to change whatever is stored.
    Operations raise WorkflowNotFound, and changes raise EditConflict.
    """

    def __init__(self, definitions: Definitions, index: RunIndex, plans: Plans, reconciler: Reconciler) -> None:
        self.definitions = definitions
        self.index = index
        self.plans = plans
        self.reconciler = reconciler

    async def create(self, customer_id: str, definition: Mapping[str, Any], by: str, yaml: str | None = None) -> Stored:
        """Store a new definition as a draft, and its text; raises DefinitionInvalid and WorkflowExists."""
        content = normalize(definition, str(definition.get("id") or uuid4()))
        await self.plans.make(customer_id, content)
        return await self.definitions.create(customer_id, content["id"], content, by, yaml)

    async def save(
        self,
        customer_id: str | None,
        workflow_id: str,
        definition: Mapping[str, Any],
        revision: int | None = None,
        yaml: str | None = None,
    ) -> Stored:
        """Replace the working copy and its text; raises DefinitionInvalid and OperationRefused."""
        stored = await self.definitions.get(customer_id, workflow_id)
        _require_not_archived(stored)
        body_id = definition.get("id") or workflow_id
        if body_id != workflow_id:
            message = f"the definition's id {body_id!r} does not match the workflow {workflow_id!r}"
            raise DefinitionInvalid([Problem("error", "other_id", "/id", message)])
        content = normalize(definition, workflow_id)
        await self.plans.make(stored.customer_id, content)
        return await self.definitions.save(stored.customer_id, workflow_id, content, revision, yaml)

    async def activate(
        self, customer_id: str | None, workflow_id: str, by: str, *, revision: int | None = None, strict: bool = False
    ) -> Activation:
        """Publish the working copy if it has changed, and install the trigger.

        A schedule is installed again even if nothing has changed: it may have been deleted in Temporal. Raises
        DefinitionInvalid; if `strict` for warnings, too.
        """
        before = await self._get(customer_id, workflow_id, revision)
        if before.edited or not before.version:
            content = {**before.definition, "version": before.version + 1}
            verdict = await self.plans.check(before.customer_id, content)
            plan = verdict.require(strict=strict)
            stored = await self.definitions.publish(before, before.definition, plan.to_json(), by=by)
        else:
            # Checked before the change: once it is stored, nothing may refuse it.
            verdict = await self.plans.check(before.customer_id, before.definition)
            if strict:
                verdict.require(strict=True)
            stored = before if before.status == ACTIVE else await self.definitions.set_status(before, ACTIVE)
        await self.reconciler.settle(stored.customer_id, workflow_id, reinstall=True)
        return Activation(stored, list(verdict.problems))

    async def rollback(
        self, customer_id: str | None, workflow_id: str, version: int, by: str, *, revision: int | None = None
    ) -> Stored:
        """Publish an older version again, as the newest; a paused workflow stays paused."""
        before = await self._get(customer_id, workflow_id, revision)
        _require_not_archived(before)
        older = await self.definitions.get_version(before.customer_id, workflow_id, version)
        plan = await self.plans.make(before.customer_id, {**older.definition, "version": before.version + 1})
        stored = await self.definitions.publish(before, older.definition, plan.to_json(), by=by, copy_of=older)
        await self.reconciler.settle(stored.customer_id, workflow_id)
        return stored

    async def pause(self, customer_id: str | None, workflow_id: str, *, revision: int | None = None) -> Stored:
        """Pause the trigger of an active workflow; raises OperationRefused for a draft or an archived one."""
        before = await self._get(customer_id, workflow_id, revision)
        if before.status not in (ACTIVE, PAUSED):
            raise OperationRefused(
                f"workflow {workflow_id!r} is {before.status} and cannot be paused",
                hint="only an active workflow can be paused",
            )
        return await self._set_status(before, PAUSED)

    async def archive(self, customer_id: str | None, workflow_id: str, *, revision: int | None = None) -> Stored:
        """Remove the trigger and refuse edits and starts; runs continue."""
        return await self._set_status(await self._get(customer_id, workflow_id, revision), ARCHIVED)

    async def delete(self, customer_id: str | None, workflow_id: str, *, revision: int | None = None) -> None:
        """Delete a workflow with its versions and its trigger; runs continue."""
        deleted = await self.definitions.delete(customer_id, workflow_id, revision)
        await self.reconciler.settle(deleted.customer_id, workflow_id)

    async def get(self, customer_id: str | None, workflow_id: str) -> Stored:
        """Return a workflow with its working copy."""
        return await self.definitions.get(customer_id, workflow_id)

    async def list_workflows(
        self,
        customer_id: str | None,
        *,
        status: str | None = None,
        id_prefix: str | None = None,
        after: Sequence[str] = (),
        limit: int = 50,
    ) -> list[Stored]:
        """List workflows by customer and ID; `after` is the customer and ID of the last one on the page before."""
        return await self.definitions.list_definitions(
            customer_id, status=status, id_prefix=id_prefix, after=after, limit=limit
        )

    async def get_version(self, customer_id: str | None, workflow_id: str, version: int) -> Version:
        """Return a published version."""
        return await self.definitions.get_version(await self.find_owner(customer_id, workflow_id), workflow_id, version)

    async def list_versions(
        self, customer_id: str | None, workflow_id: str, *, before: int | None = None, limit: int
    ) -> list[Version]:
        """List published versions, the newest first; `before` is the number of the last one on the page before."""
        stored = await self.definitions.get(customer_id, workflow_id)
        upper = stored.version + 1 if before is None else before
        return await self.definitions.list_versions(stored.customer_id, workflow_id, before=upper, limit=limit)

    async def list_callers(self, stored: Stored) -> list[Caller]:
        """Return the newest versions of the workflows that call one."""
        return await self.definitions.list_callers(stored.customer_id, stored.id)

    async def compare(
        self, customer_id: str | None, workflow_id: str, before: int | None, after: int | None
    ) -> Comparison:
        """Return what changes from one version to another.

        By default from the newest published version to the working copy; 0 is the working copy.
        """
        stored = await self.definitions.get(customer_id, workflow_id)
        before, after = stored.version if before is None else before, after or 0
        old, new = [await self._get_content(stored, number) for number in (before, after)]
        return Comparison(before, after, find_changes(old, new))

    async def _get_content(self, stored: Stored, version: int) -> dict[str, Any]:
        if not version:
            return stored.definition
        return (await self.definitions.get_version(stored.customer_id, stored.id, version)).definition

    async def compute_statistics(
        self, customer_id: str | None, workflow_id: str, version: int | None = None
    ) -> Statistics:
        """Return the statistics of a workflow's runs, of one version or of all published versions."""
        stored = await self.definitions.get(customer_id, workflow_id)
        counts = await self.index.count_runs(stored.customer_id, [workflow_id], version)
        durations = await self.index.compute_percentiles(stored.customer_id, workflow_id, version)
        usage = await sum_usage(self.index.database, stored.customer_id, workflow_id, version)
        return Statistics(counts.get(workflow_id, Counts()), durations, usage)

    async def describe_changed(self, stored: Stored) -> dict[str, Any]:
        """Return a workflow that has been changed, as `describe` does.

        The change is stored: where the database fails now, the numbers of runs are zero instead.
        """
        try:
            (document,) = await self.describe([stored])
        except StoreUnavailable as error:
            logger.warning("workflow %r is changed, its runs cannot be counted: %s", stored.id, error)
            return _describe(stored, Counts())
        return document

    async def describe(self, workflows: Sequence[Stored]) -> list[dict[str, Any]]:
        """Return definitions together with their status and the statistics of their runs."""
        counts: dict[str, dict[str, Counts]] = {}
        for customer_id in {stored.customer_id for stored in workflows}:
            names = [stored.id for stored in workflows if stored.customer_id == customer_id]
            counts[customer_id] = await self.index.count_runs(customer_id, names)
        return [_describe(stored, counts[stored.customer_id].get(stored.id, Counts())) for stored in workflows]

    async def find_owner(self, customer_id: str | None, workflow_id: str) -> str:
        """Return the customer, or the only one that has the workflow."""
        if customer_id is not None:
            return customer_id
        return (await self.definitions.get_head(None, workflow_id)).customer_id

    async def _get(self, customer_id: str | None, workflow_id: str, revision: int | None) -> Stored:
        stored = await self.definitions.get(customer_id, workflow_id)
        require_revision(stored, revision)
        return stored

    async def _set_status(self, before: Stored, status: str) -> Stored:
        stored = before if before.status == status else await self.definitions.set_status(before, status)
        await self.reconciler.settle(stored.customer_id, stored.id)
        return stored


def _require_not_archived(stored: Stored) -> None:
    if stored.status == ARCHIVED:
        raise OperationRefused(f"workflow {stored.id!r} is archived", hint="activate it first")


def _describe(stored: Stored, counts: Counts) -> dict[str, Any]:
    return {
        **stored.definition,
        "customer_id": stored.customer_id,
        "status": stored.status,
        "version": stored.version,
        "edited": stored.edited,
        "created_at": format_timestamp(stored.created_at),
        "updated_at": format_timestamp(stored.updated_at),
        "created_by": stored.created_by,
        "run_count": counts.total,
        "success_count": counts.count("completed"),
        "failure_count": counts.count("failed"),
        "last_run_at": counts.last_run_at and format_timestamp(counts.last_run_at),
        "success_rate": counts.success_rate,
    }
