"""Keys of called workflows, in the definitions that the planner is given and in plans.

id                      the newest version when the caller is published, and for each run of a draft
id@3                    this version
id@latest               the newest version when a run starts
other@latest/id@3       the version that the latest version of `other` holds, calling what that one holds
"""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.model.plan import LATEST
from orchestrator.planner.node_checks import read_called_version


def make_versioned_key(workflow_id: str, version: int | str | None, holder: str = "") -> str:
    """Return the key of a version, as the latest version with the key `holder` calls it."""
    return f"{holder}/{workflow_id}@{version}" if holder and version != LATEST else f"{workflow_id}@{version}"


def find_holder(key: str) -> str:
    """Return the key of the latest version that decides what the workflow of a key calls; empty for the caller."""
    holder = key.partition("/")[0]
    return holder if holder.endswith(f"@{LATEST}") else ""


def choose_callee_key(config: Mapping[str, Any], known: Collection[str], caller: str) -> str:
    """Return the key of the workflow that a node calls, in the definition with the key `caller`."""
    workflow_id, version = config["workflow_id"], read_called_version(config)
    keys = [make_versioned_key(workflow_id, version, holder) for holder in (find_holder(caller), "")]
    return next((key for key in keys if key in known), str(workflow_id))


def make_callee_key(config: Mapping[str, Any], calls: Collection[str]) -> str:
    """Return the key of the workflow that a node calls, from those that its definition calls."""
    workflow_id, version = config["workflow_id"], read_called_version(config)
    exact = make_versioned_key(workflow_id, version)
    if exact in calls or version is None:
        return exact if exact in calls else str(workflow_id)
    return next((key for key in calls if key.endswith(f"/{exact}")), str(workflow_id))
