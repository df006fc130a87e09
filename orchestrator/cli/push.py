"""Check definitions on a server, and store them there, callees first."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.cli.client import ApiClient, Document, parse_problem, quote_id
from orchestrator.cli.environment import load_actions
from orchestrator.cli.failures import ApiError, UsageError
from orchestrator.cli.files import LoadedFile
from orchestrator.cli.output import print_note
from orchestrator.cli.planning import InvalidFileError, format_count, show_problems
from orchestrator.errors import OrchestratorError, Problem
from orchestrator.jsontools.documents import YAML_ENDINGS
from orchestrator.jsontools.pointer import find_value
from orchestrator.model.definition import SERVICE_KEYS
from orchestrator.planner.calls import find_callees

MAX_TOGETHER = 50
"""Definitions that are checked by one request."""
MAX_BYTES = 500_000
"""Size of the definitions that are checked by one request; the server takes 1 MiB by default."""
MAX_PRUNED = 10_000
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has done to a workflow, or would do."""

    change: Literal["created", "updated", "unchanged", "archived"]
    workflow_id: str
    document: Document | None
    """The stored workflow; `None` in a dry run for one that would be created."""


def push_files(
    client: ApiClient,
    files: list[LoadedFile],
    customer: str | None,
    *,
    activate: bool = False,
    prune: bool = False,
    strict: bool = False,
    dry_run: bool = False,
) -> list[Pushed]:
    """Check all files, then store each that has changed. Raises InvalidFileError; if `strict` for warnings, too.

    With `prune`, the other workflows of the same customers are archived.
    """
    require_distinct_ids(files)
    by_customer: dict[str | None, list[LoadedFile]] = defaultdict(list)
    for file in files:
        by_customer[choose_customer(file, customer)].append(file)
    owners = require_valid(client, by_customer, "nothing was stored", strict=strict)
    pushed = [
        _push_file(client, file, owner, activate=activate, dry_run=dry_run)
        for owner, own in by_customer.items()
        for file in order_callees_first(own)
    ]
    for owner in owners if prune else ():
        kept = {_get_id(file) for named, own in by_customer.items() if named in (None, owner) for file in own}
        pushed += _archive_others(client, owner, kept, dry_run=dry_run)
    return pushed


def _push_file(client: ApiClient, file: LoadedFile, customer: str | None, *, activate: bool, dry_run: bool) -> Pushed:
    """Store a definition as a new draft, or as the working copy of the workflow of the same ID."""
    params, workflow_id = {"customer_id": customer}, _get_id(file)
    path = f"/workflows/{quote_id(workflow_id)}"
    change: Literal["created", "updated", "unchanged"]
    yaml = _get_yaml(file)
    try:
        document = client.get(path, **params)
        is_same = _get_content(document) == _get_content(file.value)
        # The comments of a YAML file are stored as well.
        is_same = is_same and (yaml is None or client.read_yaml(path, **params) == yaml)
        change = "unchanged" if is_same else "updated"
    except ApiError as error:
        if error.code != "workflow_not_found":
            raise
        document, change = None, "created"
    if not dry_run:
        if change != "unchanged":
            method, target = ("POST", "/workflows") if document is None else ("PUT", path)
            body: dict[str, Any] = {"json": file.value} if yaml is None else {"yaml": yaml}
            document = client.request(method, target, params=params, **body)
        if activate:  # an active one too: its schedule may have been deleted in Temporal
            document = client.post(f"{path}/activate", **params)
    return Pushed(change, workflow_id, document)


def _get_yaml(file: LoadedFile) -> str | None:
    """Return the text of a YAML file, unless it is so large that it has to be sent as JSON."""
    from orchestrator.service.yaml_bodies import MAX_YAML_BYTES

    text = file.source.text
    is_yaml = file.name.endswith(YAML_ENDINGS) and len(text.encode()) <= MAX_YAML_BYTES
    return text if is_yaml else None


def _archive_others(client: ApiClient, owner: str, kept: set[str], *, dry_run: bool) -> Iterator[Pushed]:
    """Archive the workflows of a customer that are not among the files; their versions and runs stay."""
    for document in client.list_items("/workflows", MAX_PRUNED, customer_id=owner):
        if document["id"] in kept or document["status"] == "archived":
            continue
        if not dry_run:
            document = client.post(f"/workflows/{quote_id(document['id'])}/archive", customer_id=owner)
        yield Pushed("archived", document["id"], document)


def _get_content(document: Document) -> Document:
    """Return what a person has written of a definition."""
    return {key: value for key, value in document.items() if key not in SERVICE_KEYS}


def choose_customer(file: LoadedFile, customer: str | None) -> str | None:
    """Return the customer that owns a definition: the one it names, or the option; raises UsageError."""
    named = file.value.get("customer_id") or None
    if named is not None and not isinstance(named, str):
        raise InvalidFileError(f"{file.locate('/customer_id')}: the customer_id must be text")
    if customer is not None and named not in (None, customer):
        raise UsageError(
            f"the definition belongs to customer {named!r}, and --customer is {customer!r}",
            where=file.locate("/customer_id"),
            hint="remove one of the two",
        )
    return customer or named


def require_distinct_ids(files: Iterable[LoadedFile]) -> None:
    """Raise InvalidFileError for a file without an ID, or two files with the same one."""
    names: dict[str, str] = {}
    for file in files:
        workflow_id = file.value.get("id") if isinstance(file.value, dict) else None
        if workflow_id is None or workflow_id == "":
            raise InvalidFileError(f"{file.name} has no id", hint="a stored definition needs one")
        if not isinstance(workflow_id, str):
            raise InvalidFileError(f"{file.name}: the id must be text")
        if workflow_id in names:
            message = f"{names[workflow_id]} and {file.name} have the same id {workflow_id!r}"
            raise InvalidFileError(message, hint="push each workflow from one file")
        names[workflow_id] = file.name


def require_valid(
    client: ApiClient,
    by_customer: Mapping[str | None, Sequence[LoadedFile]],
    consequence: str,
    *,
    strict: bool = False,
) -> list[str]:
    """Print the problems of all files and by which API they were checked, and return their customers.

    Raises InvalidFileError where there are errors, or if `strict` warnings.
    """
    checked = f"checked by {client.server.url}"
    wrong, owners, found = 0, [], []
    for customer, files in by_customer.items():
        for file, problems, owner, _ in check_files(client, files, customer):
            found += show_problems(file, problems)
            wrong += sum(strict or problem.severity == "error" for problem in problems)
            owners.append(owner)
    if wrong:
        counted = format_count(wrong, "problem" if strict else "error")
        raise InvalidFileError(f"{counted}, {checked}; {consequence}", found=found)
    print_note(f"{format_count(sum(map(len, by_customer.values())), 'file')} valid, {checked}")
    return list(dict.fromkeys(owners))


def check_files(
    client: ApiClient, files: Sequence[LoadedFile], customer: str | None, sizes: Mapping[str, Any] | None = None
) -> "Iterator[tuple[LoadedFile, list[Problem], str, dict[str, Any] | None]]":
    """Yield each file with its problems, as the server finds them, its customer, and the forecast for these sizes.

    A file may call the others.
    """
    for group in _split_for_requests(files):
        request = {"workflows": [file.value for file in group], **({} if sizes is None else {"budget": sizes})}
        try:
            answer = client.post("/workflows/validate-all", request, customer_id=customer)
        except ApiError as error:
            raise explain_customer(error, group[0], customer) from None
        for file, result in zip(group, answer["results"], strict=True):
            problems = [*file.source.find_duplicates(), *map(parse_problem, result["problems"])]
            explained = [_explain_unknown_action(file, each) for each in problems]
            yield file, explained, answer["customer_id"], result["forecast"]


def _explain_unknown_action(file: LoadedFile, problem: Problem) -> Problem:
    """Return a problem with a better hint where the API lacks an action that this environment has."""
    if problem.code != "unknown_action":
        return problem
    name = find_value(file.value, problem.path)
    try:
        is_known_here = isinstance(name, str) and load_actions().get(name) is not None
    except OrchestratorError:
        return problem
    hint = f"{name} is known in this folder: start the API in it, or with the same ORCHESTRATOR_ACTION_MODULES"
    return replace(problem, hint=hint) if is_known_here else problem


def explain_customer(error: ApiError, file: LoadedFile, customer: str | None) -> Exception:
    """Return an error that names the customer of a file where a key belongs to another one."""
    if error.status != NOT_FOUND or customer is None:
        return error
    where = file.locate("/customer_id") if file.value.get("customer_id") else None
    hint = "use a key of that customer or an administrator's"
    return UsageError(f"this API key may not act for customer {customer!r}", where=where, hint=hint)


def _split_for_requests(files: Sequence[LoadedFile]) -> Iterator[list[LoadedFile]]:
    """Yield files that are checked together: those that call each other, and others as long as they are small."""
    batch: list[LoadedFile] = []
    size = 0
    for group in _group_callers(files):
        added = sum(len(file.source.text) for file in group)
        if batch and (size + added > MAX_BYTES or len(batch) + len(group) > MAX_TOGETHER):
            yield batch
            batch, size = [], 0
        batch, size = [*batch, *group], size + added
    if batch:
        yield batch


def _group_callers(files: Sequence[LoadedFile]) -> list[list[LoadedFile]]:
    """Return the files in groups: two that are connected by calls are in the same one."""
    indexes = {_get_id(file): index for index, file in enumerate(files)}
    neighbours: list[set[int]] = [set() for _ in files]
    for index, file in enumerate(files):
        for name, _ in find_callees(file.value):
            if name in indexes:
                neighbours[index].add(indexes[name])
                neighbours[indexes[name]].add(index)
    groups: list[list[LoadedFile]] = []
    seen: set[int] = set()
    for start in range(len(files)):
        group, waiting = [], [start]
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                group.append(files[index])
                waiting += sorted(neighbours[index])
        if group:
            groups.append(group)
    return groups


def order_callees_first(files: Iterable[LoadedFile]) -> list[LoadedFile]:
    """Order definitions so that callees come first; the planner reports cycles."""

    def others(file: LoadedFile) -> set[str]:
        return {name for name, _ in find_callees(file.value)} - {_get_id(file)}

    waiting = {_get_id(file): file for file in files}
    ordered: list[LoadedFile] = []
    while waiting:
        free = [name for name, file in waiting.items() if not others(file) & set(waiting)]
        for name in free or list(waiting):
            ordered.append(waiting.pop(name))
    return ordered


def _get_id(file: LoadedFile) -> str:
    return str(file.value.get("id"))
