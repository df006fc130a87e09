"""Show the business keys of a run in a search attribute, when it starts. Replay-sensitive."""

from collections.abc import Iterator

from temporalio import workflow

from orchestrator.errors import OrchestratorError
from orchestrator.interpreter.compiled import Compiled, make_env
from orchestrator.language.env import Meter
from orchestrator.temporal.business_keys import MAX_BYTES, encode_key
from orchestrator.temporal.search_attributes import BUSINESS_KEYS, MOVED_AT
from orchestrator.temporal.workflow.flow import Flow


def show_keys(flow: Flow) -> None:
    """Set the attribute, unless the plan has no keys or an earlier execution of the run has set it."""
    shown = workflow.info().typed_search_attributes.get(BUSINESS_KEYS) or ()
    if not flow.plan.keys or shown:
        return
    entries = list(_render_keys(flow))
    if entries:
        workflow.upsert_search_attributes([BUSINESS_KEYS.value_set(entries), MOVED_AT.value_set(workflow.now())])


def _render_keys(flow: Flow) -> Iterator[str]:
    """Yield the values of the attribute; a key that is missing, too long or cannot be computed is left out."""
    compiled, effects = Compiled(), flow.effects
    env = make_env(flow.state.data.context, effects.now, effects.uuid, False, Meter())
    for name, template in flow.plan.keys.items():
        try:
            value = compiled.render(template, env)
        except OrchestratorError as error:
            effects.warn(f"the key {name!r} cannot be computed: {error}")
            continue
        if value is None:
            continue
        entry = encode_key(name, value)
        if entry is None:
            effects.warn(f"the key {name!r} is left out: `name=value` is longer than {MAX_BYTES} bytes")
        else:
            yield entry
