"""Check definitions on a server, and store them there, callees first."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from orchestrator.cli.client import ApiClient, Document, parse_problem, quote_id
from orchestrator.cli.failures import ApiError, UsageError
from orchestrator.cli.files import LoadedFile
from orchestrator.cli.planning import InvalidFileError, format_count, show_problems
from orchestrator.errors import Problem
from orchestrator.planner.calls import find_callees

MAX_TOGETHER = 50
"""Definitions that are checked by one request."""
MAX_BYTES = 500_000
"""Size of the definitions that are checked by one request; the server takes 1 MiB by default."""
NOT_FOUND = 404


def push_files(client: ApiClient, files: list[LoadedFile], customer: str | None, *, activate: bool) -> list[Document]:
    """Check all files, then store each; return the stored documents. Raises InvalidFileError."""
    require_distinct_ids(files)
    by_customer: dict[str | None, list[LoadedFile]] = defaultdict(list)
    for file in files:
        by_customer[choose_customer(file, customer)].append(file)
    require_valid(client, by_customer, "nothing was stored")
    stored = []
    for owner, own in by_customer.items():
        for file in order_callees_first(own):
            document = _store(client, file, owner)
            if activate:
                document = client.post(f"/workflows/{quote_id(document['id'])}/activate", customer_id=owner)
            stored.append(document)
    return stored


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


def require_valid(client: ApiClient, by_customer: "dict[str | None, list[LoadedFile]]", consequence: str) -> None:
    """Print the problems of all files; raises InvalidFileError where there are errors."""
    wrong = 0
    for customer, files in by_customer.items():
        for file, problems in check_files(client, files, customer):
            show_problems(file, problems)
            wrong += sum(problem.severity == "error" for problem in problems)
    if wrong:
        raise InvalidFileError(f"{format_count(wrong, 'error')}; {consequence}")


def check_files(
    client: ApiClient, files: Sequence[LoadedFile], customer: str | None
) -> "Iterator[tuple[LoadedFile, list[Problem]]]":
    """Yield each file with its problems, as the server finds them; a file may call the others."""
    for group in _split_for_requests(files):
        request = {"workflows": [file.value for file in group]}
        try:
            answer = client.post("/workflows/validate-all", request, customer_id=customer)
        except ApiError as error:
            raise explain_customer(error, group[0], customer) from None
        for file, result in zip(group, answer["results"], strict=True):
            yield file, [*file.source.find_duplicates(), *map(parse_problem, result["problems"])]


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


def _store(client: ApiClient, file: LoadedFile, customer: str | None) -> Document:
    """Store a definition as a new draft, or as the working copy of the workflow of the same ID."""
    params = {"customer_id": customer}
    path = f"/workflows/{quote_id(_get_id(file))}"
    try:
        client.get(path, **params)
    except ApiError as error:
        if error.code != "workflow_not_found":
            raise
        document: Any = client.request("POST", "/workflows", params=params, json=file.value)
    else:
        document = client.request("PUT", path, params=params, json=file.value)
    return dict(document)
