"""Check definitions by the API if there is one, else with the actions and settings of this environment."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from orchestrator.cli.environment import load_actions, load_settings
from orchestrator.cli.failures import NoServerError
from orchestrator.cli.files import LoadedFile
from orchestrator.cli.planning import LOCALLY, check_definition, index_definitions, read_permissions
from orchestrator.cli.server_address import ServerOptions, SeveralServersError, find_server
from orchestrator.errors import Problem

Findings = list[tuple[LoadedFile, list[Problem]]]


def check_files(
    files: Sequence[LoadedFile], callees: Sequence[LoadedFile], named: ServerOptions, *, locally: bool
) -> tuple[Findings, str]:
    """Return the problems of each file, and how they were checked. An API that is named must answer."""
    try:
        server = None if locally else find_server(named)
    except SeveralServersError as error:
        return list(_check_locally(files, callees)), f"{LOCALLY}: {error.message}; {error.hint}"
    if server is None:
        return list(_check_locally(files, callees)), LOCALLY
    try:
        return list(_check_by_api(files, callees, named)), f"by {server.url}"
    except NoServerError:
        if server.is_explicit:
            raise
        return list(_check_locally(files, callees)), f"{LOCALLY}: {server.url} does not answer"


def _check_locally(
    files: Sequence[LoadedFile], callees: Sequence[LoadedFile]
) -> Iterator[tuple[LoadedFile, list[Problem]]]:
    settings = load_settings()
    known, permissions = load_actions(settings), read_permissions(settings)
    others = index_definitions([*callees, *files])
    for file in files:
        yield file, check_definition(file, known, others, permissions).problems


def _check_by_api(
    files: Sequence[LoadedFile], callees: Sequence[LoadedFile], named: ServerOptions
) -> Iterator[tuple[LoadedFile, list[Problem]]]:
    from orchestrator.cli import push
    from orchestrator.cli.client import ApiClient

    by_customer: dict[str | None, list[LoadedFile]] = defaultdict(list)
    for file in files:
        if isinstance(file.value, dict):
            by_customer[push.choose_customer(file, None)].append(file)
        else:
            yield from _check_locally([file], ())
    with ApiClient(named) as client:
        for customer, own in by_customer.items():
            wanted = set(map(id, own))
            for file, problems, _ in push.check_files(client, [*own, *callees], customer):
                if id(file) in wanted:
                    yield file, problems
