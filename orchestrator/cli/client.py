"""A client of the HTTP API, for the commands about workflows and runs. Blocking: a command does one thing at a time."""

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote, urlsplit

import httpx

from orchestrator.cli.failures import ADMIN_HINT, ApiError, NoServerError, UsageError
from orchestrator.cli.running_dev import is_own_host
from orchestrator.cli.server_address import KEY_VARIABLE, Server, ServerOptions, require_server
from orchestrator.errors import Problem, ProblemCode, Severity

if TYPE_CHECKING:
    from orchestrator.model.run import Run

PREFIX = "/api/v1"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
PAGE = 500
MAX_WAITS = 3
YAML = "application/yaml"
MAX_WAIT_SECONDS = 60.0
KEY_NEEDED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
POLL_SECONDS, MAX_POLL_SECONDS = 0.1, 1.0
OUTAGE_SECONDS = 60.0
"""How long a run is followed while its API does not answer."""
Document = dict[str, Any]


class ApiClient:
    """Sends requests to one API; raises ApiError for what it refuses, and NoServerError if nothing answers."""

    def __init__(
        self,
        options: ServerOptions,
        transport: httpx.BaseTransport | None = None,
        *,
        timeout: httpx.Timeout | float = TIMEOUT,
        max_waits: int = MAX_WAITS,
    ) -> None:
        self.options = options
        self.transport = transport
        self.timeout = timeout
        self.max_waits = max_waits
        """How often a request that exceeds the rate limit is sent again."""

    @cached_property
    def server(self) -> Server:
        """Return the API. It is looked up at the first request, so that wrong arguments are reported before."""
        return require_server(self.options)

    @cached_property
    def _http(self) -> httpx.Client:
        headers = {"user-agent": "orchestrator-cli", "accept": "application/json"}
        if self.server.key:
            headers["authorization"] = f"Bearer {self.server.key}"
        # A proxy of the environment cannot reach a service on this machine.
        is_remote = not is_own_host(urlsplit(self.server.url).hostname or "")
        return httpx.Client(headers=headers, timeout=self.timeout, trust_env=is_remote, transport=self.transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if "_http" in self.__dict__:
            self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        yaml: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request, with a body in JSON or YAML, and return the JSON of the response, or `None` without one."""
        sent = dict(headers or {}) | ({} if yaml is None else {"content-type": YAML})
        response = self._request(method, path, params, json=json, content=yaml, headers=sent)
        return self._parse(response) if response.content else None

    def read_yaml(self, path: str, **params: Any) -> str:
        """Read a document as YAML."""
        return self._request("GET", path, params, headers={"accept": YAML}).text

    def _request(self, method: str, path: str, params: Mapping[str, Any] | None, **request: Any) -> httpx.Response:
        """Send a request, again where the service is busy; raises the error that the response describes."""
        present = {name: value for name, value in (params or {}).items() if value is not None}
        for wait in range(self.max_waits + 1):
            response = self._send(method, path, params=present, **request)
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS or wait == self.max_waits:
                break
            time.sleep(min(_read_seconds(response.headers.get("retry-after")), MAX_WAIT_SECONDS))
        if response.is_success:
            return response
        raise self._make_error(response)

    def get(self, path: str, **params: Any) -> Any:
        """Read a document."""
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None, **params: Any) -> Any:
        """Post a document, or nothing."""
        return self.request("POST", path, json=json, params=params)

    def list_items(self, path: str, limit: int, **params: Any) -> list[Document]:
        """Return the first items of a list, read page by page."""
        return list(islice(self.iterate_items(path, min(limit, PAGE), **params), limit))

    def iterate_items(self, path: str, page_size: int = PAGE, **params: Any) -> Iterator[Document]:
        """Yield the items of a list, read page by page."""
        cursor = None
        while True:
            page = self.get(path, **params, limit=page_size, cursor=cursor)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def read_run(self, run_id: str) -> "Run":
        """Read the document of a run; fields of a newer server are ignored."""
        from orchestrator.model.run import Run

        return Run.model_validate(self.get(f"/runs/{quote_id(run_id)}"), extra="ignore")

    def watch_run(self, run_id: str) -> Iterator["Run | None"]:
        """Yield the document of a run now and after each change until it ends; `None` when the API stops answering."""
        run = self.read_run(run_id)
        yield run
        delay, last_answer, is_silent = POLL_SECONDS, time.monotonic(), False
        while run.completed_at is None:
            time.sleep(delay)
            try:
                newer = self.read_run(run_id)
            except (NoServerError, ApiError) as error:
                is_outage = isinstance(error, NoServerError) or error.status >= httpx.codes.INTERNAL_SERVER_ERROR
                if not is_outage or time.monotonic() - last_answer > OUTAGE_SECONDS:
                    raise
                if not is_silent:
                    yield None
                delay, is_silent = MAX_POLL_SECONDS, True
                continue
            last_answer, is_silent = time.monotonic(), False
            delay = POLL_SECONDS if newer != run else min(delay * 1.5, MAX_POLL_SECONDS)
            run = newer
            yield run

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, f"{self.server.url}{PREFIX}{path}", **request)
        except httpx.TimeoutException:
            message = f"the API at {self.server.url} does not answer in time (from {self.server.source})"
            raise NoServerError(message) from None
        except httpx.TransportError as error:
            raise NoServerError(
                f"no API answers at {self.server.url} (from {self.server.source}): {error}",
                hint="start it with `orchestrator dev`, `orchestrator server` or `orchestrator api`, or check the URL",
            ) from None

    def _parse(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise self._not_an_api(response) from None

    def _make_error(self, response: httpx.Response) -> Exception:
        """Return the error that a problem document describes (RFC 9457)."""
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
            problems = [parse_problem(each) for each in problem.get("errors") or ()]
        except (ValueError, LookupError, TypeError, AttributeError):
            return self._not_an_api(response)
        hint = problem.get("hint")
        if response.status_code == httpx.codes.UNAUTHORIZED and self.server.key is None:
            hint = f"set {KEY_VARIABLE}, or use --key or a profile; `orchestrator keys create` makes a key"
        if response.status_code in KEY_NEEDED and response.request.url.path.startswith(f"{PREFIX}/keys"):
            hint = f"{hint}; or {ADMIN_HINT}" if hint else ADMIN_HINT
        message = f"the API at {self.server.url}: {detail}" if response.status_code == 401 else detail
        return ApiError(code, message, status=response.status_code, problems=problems, hint=hint)

    def _not_an_api(self, response: httpx.Response) -> NoServerError:
        return NoServerError(
            f"{self.server.url} (from {self.server.source}) is not the API of an orchestrator:"
            f" it answered {response.request.method} {response.request.url.path} with HTTP {response.status_code}",
            hint="check the URL",
        )


def quote_id(text: str) -> str:
    """Return an ID as one segment of a path; raises UsageError for an empty one, which would name the whole list."""
    if not text:
        raise UsageError("an ID is empty", hint="check that the variable of the shell is set")
    return quote(text, safe="")


def parse_problem(each: Mapping[str, Any]) -> Problem:
    """Return a problem of a problem document or of a validation."""
    severity, code = cast("Severity", str(each["severity"])), cast("ProblemCode", str(each["code"]))
    return Problem(severity, code, str(each["path"]), str(each["message"]), each.get("hint"))


def _read_seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 1.0
