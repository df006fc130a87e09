"""`runs repair`: change a run that is paused or waits."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli import options
from orchestrator.cli.failures import UsageError
from orchestrator.cli.files import parse_json_argument
from orchestrator.cli.output import print_result
from orchestrator.cli.run_operations import name_step, operate

if TYPE_CHECKING:
    from orchestrator.cli.client import ApiClient

VALUES = {"set_variables": "variables", "set_parameters": "parameters", "set_result": "result"}
"""By kind, the field of the request that takes `--value`."""


def repair(
    client: "ApiClient",
    run_id: options.RunId,
    kind: Annotated[
        Literal["set_variables", "set_parameters", "set_result", "skip_node", "skip_wait", "retry_now"],
        typer.Argument(metavar="KIND", help="What to change."),
    ],
    step: Annotated[
        str | None, typer.Argument(metavar="NODE|STEP", help="Node ID, or step ID; none for set_variables.")
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help="The variables, the parameters, or the result."),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Iteration or branch that is meant, such as `each[7]`; the run by default."),
    ] = None,
    reason: options.Reason = "",
    as_json: options.Json = False,
) -> None:
    """Change a run that is paused or waits.

    Its variables, a step that waits, or one that is yet to come. Without a worker, and where the run or the step
    cannot take it, nothing is changed.
    """
    request = {"kind": kind, "reason": reason, **({} if path is None else {"path": path})}
    request |= _read_value(kind, value) | _read_step(kind, step)
    done = operate(client, run_id, "interventions", request)
    what = " ".join(filter(None, (done["step_id"] or done["node_id"], ", ".join(done["names"]))))
    print_result(f"run {run_id}: {kind} {what}", done, as_json=as_json)


def _read_step(kind: str, step: str | None) -> dict[str, str]:
    if (step is None) != (kind == "set_variables"):
        wanted = "takes no step" if step is not None else "needs a node or a step"
        raise UsageError(f"{kind} {wanted}")
    return {} if step is None else name_step(step)


def _read_value(kind: str, value: str | None) -> dict[str, Any]:
    if (value is None) == (kind in VALUES):
        raise UsageError(f"{kind} {'needs' if value is None else 'takes no'} --value")
    return {VALUES[kind]: parse_json_argument(value, "--value")} if kind in VALUES else {}
