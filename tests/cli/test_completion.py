"""Names are completed as a shell asks for them."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from orchestrator.cli import completion
from tests.cli.commands import InProcess, invoke
from tests.cli.shell import SECONDS
from tests.cli.support import require_success, write_definition


def complete(words: str, env: dict[str, str]) -> list[str]:
    """Return what bash is offered after these words."""
    count = len(words.split(" ")) - 1
    asked = {"_ORCHESTRATOR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    return invoke(env={**env, **asked}).stdout.split()


@pytest.fixture
def patient_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion gives up after a second, and a busy API may take longer."""
    monkeypatch.setattr(completion, "TIMEOUT_SECONDS", SECONDS)


def test_actions_are_completed() -> None:
    assert complete("orchestrator actions show http", {}) == ["http.request"]


def test_without_an_api_nothing_is_offered(tmp_path: Path) -> None:
    assert complete("orchestrator runs show ", {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"}) == []


def test_the_options_before_name_the_api_and_it_is_asked_once(patient_shell: None) -> None:
    requests: list[tuple[str, str | None]] = []

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, self.headers["authorization"]))
            self.send_response(429)
            self.send_header("retry-after", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        env = {"ORCHESTRATOR_API_URL": "http://127.0.0.1:1"}
        offered = complete(f"orchestrator runs show --url {url} --key ork_x ab", env)
        server.shutdown()

    assert offered == []
    assert requests == [("/api/v1/runs?id_prefix=ab&limit=50", "Bearer ork_x")]


@pytest.mark.temporal
def test_workflows_and_runs_are_completed(command: InProcess, patient_shell: None, tmp_path: Path) -> None:
    require_success(command("workflows", "push", write_definition(tmp_path, "completed_name")))

    assert complete("orchestrator workflows show completed_n", command.env) == ["completed_name"]
