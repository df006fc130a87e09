"""Load the settings and actions of a command, from the environment and from a running `dev`."""

import json
import os
from typing import TYPE_CHECKING

from orchestrator.cli.failures import UsageError
from orchestrator.cli.output import print_note
from orchestrator.cli.own_packages import require_other_names
from orchestrator.errors import SettingsError
from orchestrator.jsontools.suggestions import did_you_mean
from orchestrator.jsontools.validation_messages import describe_validation_error, suggest_choice

if TYPE_CHECKING:
    from activities.registry import Registry
    from orchestrator.settings import Settings


def load_settings() -> "Settings":
    """Return the settings; raises SettingsError, and warns about unknown variables."""
    from pydantic import ValidationError

    from orchestrator.settings import PREFIX, Settings, find_unknown_variables, list_variables

    for name in find_unknown_variables():
        hint = did_you_mean(name.upper(), list_variables())
        print_note(f"warning: {name} is not a setting" + (f": {hint}" if hint else ""), "yellow")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name} {describe_validation_error(first)}", hint=suggest_choice(first)) from None


def load_actions(loaded: "Settings | None" = None) -> "Registry":
    """Return the actions that a worker with these settings runs; raises SettingsError."""
    from activities import load_registry
    from activities.registry import ActionError

    settings = loaded or load_settings()
    require_other_names(settings.action_modules)
    try:
        return load_registry(settings)
    except ActionError as error:
        raise SettingsError(str(error)) from error


DEV_FILE = "dev.json"
"""File in the state folder of a running `dev`, with its addresses."""


def load_client_settings(server: str | None = None) -> "Settings":
    """Return the settings of a client; finds a `dev` on this machine, and its Web UI, by its state folder."""
    from orchestrator.settings import ADDRESS

    loaded = load_settings()
    if server is not None:
        if ADDRESS.fullmatch(server) is None:
            raise UsageError(f"--server must be host:port without a scheme, such as 127.0.0.1:7233, not {server!r}")
        loaded = loaded.model_copy(update={"temporal_address": server})
    try:
        running = json.loads((loaded.home / DEV_FILE).read_text())
        address, ui = str(running["temporal_address"]), str(running["ui"])
        os.kill(running["pids"]["dev"], 0)  # a killed process leaves its file behind
    except (OSError, ValueError, LookupError, TypeError):
        return loaded
    if loaded.database_url is None and "temporal_address" not in loaded.model_fields_set:
        loaded = loaded.model_copy(update={"temporal_address": address})
    same = address == loaded.temporal_address.replace("localhost", "127.0.0.1")
    return loaded.model_copy(update={"ui_url": ui}) if same and loaded.ui_url is None else loaded
