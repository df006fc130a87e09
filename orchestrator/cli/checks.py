"""Check definitions by the API if there is one, else with the actions and settings of this environment."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.environment import load_actions, load_settings
from orchestrator.cli.failures import NoServerError
from orchestrator.cli.files import LoadedFile
from orchestrator.cli.planning import LOCALLY, check_definition, index_definitions, read_permissions
from orchestrator.cli.server_address import ServerOptions, SeveralServersError, find_server
from orchestrator.errors import Problem

if TYPE_CHECKING:
    from orchestrator.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a file."""

    file: LoadedFile
    problems: list[Problem]
    forecast: dict[str, Any] | None = None
    """Of a run, where sizes were given and the definition has no errors."""


def check_files(
    files: Sequence[LoadedFile],
    callees: Sequence[LoadedFile],
    named: ServerOptions,
    sizes: Mapping[str, Any] | None,
    *,
    locally: bool,
) -> tuple[list[Finding], str]:
    """Return what is found about each file, and how they were checked. An API that is named must answer."""
    try:
        server = None if locally else find_server(named)
    except SeveralServersError as error:
        return list(_check_locally(files, callees, sizes)), f"{LOCALLY}: {error.message}; {error.hint}"
    if server is None:
        return list(_check_locally(files, callees, sizes)), LOCALLY
    try:
        return list(_check_by_api(files, callees, named, sizes)), f"by {server.url}"
    except NoServerError:
        if server.is_explicit:
            raise
        return list(_check_locally(files, callees, sizes)), f"{LOCALLY}: {server.url} does not answer"


def _check_locally(
    files: Sequence[LoadedFile], callees: Sequence[LoadedFile], sizes: Mapping[str, Any] | None
) -> Iterator[Finding]:
    settings = load_settings()
    known, permissions = load_actions(settings), read_permissions(settings)
    others = index_definitions([*callees, *files])
    for file in files:
        verdict = check_definition(file, known, others, permissions)
        forecast = None if sizes is None or verdict.plan is None else _forecast(verdict.plan, sizes)
        yield Finding(file, verdict.problems, forecast)


def _forecast(plan: "Plan", sizes: Mapping[str, Any]) -> dict[str, Any]:
    from orchestrator.forecast.forecast import forecast_run
    from orchestrator.forecast.sizes import Sizes

    return forecast_run(plan, Sizes.model_validate(sizes)).model_dump(mode="json")


def _check_by_api(
    files: Sequence[LoadedFile], callees: Sequence[LoadedFile], named: ServerOptions, sizes: Mapping[str, Any] | None
) -> Iterator[Finding]:
    from orchestrator.cli import push
    from orchestrator.cli.client import ApiClient

    by_customer: dict[str | None, list[LoadedFile]] = defaultdict(list)
    for file in files:
        if isinstance(file.value, dict):
            by_customer[push.choose_customer(file, None)].append(file)
        else:
            yield from _check_locally([file], (), sizes)
    with ApiClient(named) as client:
        for customer, own in by_customer.items():
            wanted = set(map(id, own))
            for file, problems, _, forecast in push.check_files(client, [*own, *callees], customer, sizes):
                if id(file) in wanted:
                    yield Finding(file, problems, forecast)
