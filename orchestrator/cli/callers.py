"""`workflows callers` and `republish`: which workflows call one, and which version of it they run."""

from typing import TYPE_CHECKING, Any

from orchestrator.cli import options
from orchestrator.cli.output import print_json, print_note, print_result, print_table

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient


def callers(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """List the workflows that call one, and the version they run.

    A published version keeps the versions of the workflows that it calls, until it is published again; of those that it
    calls with `version: latest` each run takes the newest.
    """
    listed = read_callers(client, workflow, customer)
    if as_json:
        print_json(listed)
        return
    rows = [
        (each["workflow_id"], str(each["version"]), str(each["holds"]), _describe_hold(each))
        for each in listed["callers"]
    ]
    print_table(("caller", "version", "runs version", "details"), rows)


def republish(
    client: "ApiClient", workflow: options.WorkflowId, customer: options.Customer = None, as_json: options.Json = False
) -> None:
    """Publish the callers of a workflow again, with its newest version.

    Their published definitions are published as they are; drafts are kept. Those that ask for a version are left alone.
    """
    from orchestrator.cli.client import quote_id

    done = []
    for each in read_callers(client, workflow, customer)["callers"]:
        if each["outdated"]:
            path = f"/workflows/{quote_id(each['workflow_id'])}/rollback"
            document = client.post(path, {"version": each["version"]}, customer_id=customer)
            done.append({"workflow_id": document["id"], "version": document["version"]})
    names = ", ".join(f"{each['workflow_id']} (version {each['version']})" for each in done)
    print_result(f"published again: {names}" if done else "no caller runs an older version", done, as_json=as_json)


def read_callers(client: "ApiClient", workflow: str, customer: str | None) -> dict[str, Any]:
    """Return the workflows that call one, as the API has them."""
    from orchestrator.cli.client import quote_id

    listed: dict[str, Any] = client.get(f"/workflows/{quote_id(workflow)}/callers", customer_id=customer)
    return listed


def note_callers(document: dict[str, Any], *, archived: bool = False) -> None:
    """Print which workflows still run an older version of one that has changed, or call one that is archived."""
    concerned = [each for each in document["callers"] if archived or each["outdated"]]
    for each in concerned:
        held = "the newest version" if each["latest"] else f"version {each['holds']}"
        print_note(f"{each['workflow_id']} version {each['version']} still runs {held} of it", "yellow")
    if concerned and not archived:
        print_note(f"publish them again with: orchestrator workflows republish {document['id']}")


def _describe_hold(caller: dict[str, Any]) -> str:
    if caller["latest"]:
        return "takes the newest at each start"
    if caller["pinned"]:
        return "asks for this version"
    return "outdated" if caller["outdated"] else "newest"
