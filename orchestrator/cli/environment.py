"""Load the settings and actions of a command, from the environment and from a running `dev`."""

from typing import TYPE_CHECKING

from orchestrator.cli.output import print_note
from orchestrator.cli.own_packages import require_other_names
from orchestrator.cli.running_dev import find_by_home
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


def load_client_settings() -> "Settings":
    """Return the settings of a client of Temporal; finds a `dev` by its state folder."""
    loaded = load_settings()
    running = find_by_home(loaded.home)
    if running is not None and "temporal_address" not in loaded.model_fields_set:
        loaded = loaded.model_copy(update={"temporal_address": running.temporal_address})
    return share_payloads(loaded)


def share_payloads(loaded: "Settings") -> "Settings":
    """Return settings with the payload store of the `dev` that runs the Temporal of these settings."""
    from orchestrator.store.home import locate_payloads

    running = find_by_home(loaded.home)
    if loaded.payload_store is not None or running is None or running.temporal_address != loaded.temporal_address:
        return loaded
    return loaded.model_copy(update={"payload_store": locate_payloads(loaded.home)})
