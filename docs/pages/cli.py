"""Write docs/cli.md from the commands themselves: `python -m docs.pages.cli > docs/cli.md`."""

import sys
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from orchestrator.cli import app

INTRODUCTION = """\
# Command line

<!-- Written by docs/pages/cli.py: change the commands or that file, not this one. -->

People at a terminal get colour, tables and live progress; pipes get plain lines with tabs; `--json` prints one
JSON document on stdout. Everything that is not the result goes to stderr. `NO_COLOR` is respected.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the run failed, a case did not hold, or a history does not replay |
| 2 | bad usage, settings that cannot be read, an invalid definition, or what is asked for is refused or not there |
| 3 | no Temporal server or no database answers |
| 130 | interrupted (Ctrl-C); a run that was started goes on |

`FILE` is a definition in JSON; `-` reads stdin. Problems are shown as `file:line:column: error code: message`, so
editors can jump to them. Settings come from the environment, see [settings](settings.md).

In a checkout, `make run` installs the command into `.venv`; `. .venv/bin/activate` lets the shell find it.
"""

MOCKS = """\
## Mocks

`simulate --actions` and the cases of `test` answer for actions, so that nothing is called. An action that is
mocked need not be registered; one without a mock answers `{"simulated": true}` with a warning on its step.

```yaml
http.request: {output: {status: 200, body: {id: 7}}}      # the same answer for every call
email.send:                                               # one after another; the last repeats
  - {error: {message: the server is busy, error_type: action_error}}
  - {output: {message_id: "<{{ params.to }}>"}}           # templates see params, attempt, node_id
```

## Cases

`orchestrator test orders.json` runs the cases of `orders.tests.yaml`, a list. Only `name` and `expect` are needed,
and only what `expect` names is compared. `@file` reads a file beside the cases.

```yaml
- name: a manager's yes buys it
  input: "@orders.input.json"
  actions: "@orders.actions.yaml"
  events: [{at: 1, name: approval.decided, payload: {approved: true}}]    # seconds after the start
  resolutions: [{node_id: buy, action: retry}]    # an operator's word, each used once
  with: [audit.json]                              # definitions that `workflow` nodes call
  expect:
    status: completed             # unless error_type is given, which means failed
    output: {order: PO-9}
    steps: {buy: completed, refund: null}         # null: it did not run
    order: [ask, decision, buy]   # ids of all steps
    error_type: retry_exhausted
```
"""


def page() -> str:
    """Give the whole page."""
    named = _commands(get_command(app), "orchestrator")
    commands = "\n".join(part for name, command in named for part in _section(name, command))
    return f"{INTRODUCTION}\n## Commands\n\n{commands}\n{MOCKS}"


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _section(name: str, command: Any) -> Iterator[str]:
    """Write one command: what it does, and a table of what it takes."""
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([name, *(param.metavar or param.name.upper() for param in arguments)])
    yield f"### {name}\n"
    yield f"`{usage}{' [options]' if options else ''}`\n"
    yield f"{_paragraphs(command.help)}\n"
    if options:
        yield "| option | meaning |\n|---|---|"
        yield "\n".join(f"| `{_spelling(param)}` | {_meaning(param)} |" for param in options) + "\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _spelling(param: Any) -> str:
    value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
    return f"{', '.join(param.opts)}{value}".replace("|", "\\|")


def _meaning(param: Any) -> str:
    default = "" if param.is_flag or param.default in (None, "") else f" (`{param.default}`)"
    return f"{param.help}{default}"


if __name__ == "__main__":
    sys.stdout.write(page())
