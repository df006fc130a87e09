"""Examples of each command, for its help and docs/cli.md. A test parses them all."""

from collections.abc import Iterable

RUN = "order_flow-7k3m9q2x4t8wjb5n"
DELIVERY = "3f6c1a9e8b2d4c57"
KEY = "9b1d3c5e7f"

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": ("orchestrator init", "orchestrator init shop"),
    "dev": ("orchestrator dev", "orchestrator dev --home /var/lib/orchestrator --port 9000"),
    "server": ("orchestrator server",),
    "api": ("orchestrator api",),
    "worker": ("orchestrator worker",),
    "run": (
        """orchestrator run order.json --input '{"id": 7}'""",
        "orchestrator run order.yaml --input @order.input.json --server embedded",
        "orchestrator run parent.json --with child.json --detach",
    ),
    "validate": (
        "orchestrator validate workflows/",
        "orchestrator validate order.json --with billing.json --watch",
        "orchestrator validate workflows/ --local --junit report.xml",
        "orchestrator validate order.json --budget --sizes @sizes.json",
    ),
    "fmt": ("orchestrator fmt workflows/", "orchestrator fmt order.yaml --check"),
    "graph": ("orchestrator graph order.json > order.mmd", "orchestrator graph order.json --format svg > order.svg"),
    "simulate": (
        "orchestrator simulate order.json --actions order.actions.yaml",
        """orchestrator simulate approval.json --event 'decided={"approved": true}@60'""",
    ),
    "test": (
        "orchestrator test workflows/",
        "orchestrator test order.json --watch",
        "orchestrator test workflows/ --coverage --junit report.xml",
    ),
    "regress": (
        "orchestrator regress order_flow",
        "orchestrator regress order_flow --against 4 --last 500 --graph order.svg",
    ),
    "test record": (
        f"orchestrator test record {RUN}",
        "orchestrator test record order_flow-7k3m order.json --keep street",
    ),
    "replay": (
        f"orchestrator replay {RUN}",
        f"orchestrator replay {RUN} --save history.json",
        "orchestrator replay --open --sample 500",
        "orchestrator replay --closed --last 200",
    ),
    "schema": ("orchestrator schema > definition.schema.json", "orchestrator schema --actions > actions.json"),
    "workflows push": (
        "orchestrator workflows push order.json --activate",
        "orchestrator workflows push workflows/ --prune --dry-run",
    ),
    "workflows list": ("orchestrator workflows list", "orchestrator workflows list --status active --json"),
    "workflows show": ("orchestrator workflows show order_flow", "orchestrator workflows show order_flow --version 3"),
    "workflows diff": ("orchestrator workflows diff order_flow", "orchestrator workflows diff order_flow 3 4"),
    "workflows pull": ("orchestrator workflows pull --folder workflows", "orchestrator workflows pull order_flow"),
    "workflows versions": ("orchestrator workflows versions order_flow",),
    "workflows activate": (
        "orchestrator workflows activate order_flow",
        "orchestrator workflows activate order_flow --regress 200",
    ),
    "workflows pause": ("orchestrator workflows pause order_flow",),
    "workflows archive": ("orchestrator workflows archive order_flow",),
    "workflows callers": ("orchestrator workflows callers price_list",),
    "workflows republish": ("orchestrator workflows republish price_list",),
    "workflows rollback": ("orchestrator workflows rollback order_flow 3",),
    "workflows stats": ("orchestrator workflows stats order_flow", "orchestrator workflows stats order_flow --json"),
    "workflows delete": ("orchestrator workflows delete order_flow --yes",),
    "workflows start": (
        """orchestrator workflows start order_flow --input '{"id": 7}'""",
        "orchestrator workflows start order_flow --idempotency-key order-7",
    ),
    "runs list": ("orchestrator runs list --status failed", "orchestrator runs list --workflow order_flow --limit 10"),
    "runs stuck": ("orchestrator runs stuck", "orchestrator runs stuck --customer acme --json"),
    "runs show": (f"orchestrator runs show {RUN}",),
    "runs explain": (f"orchestrator runs explain {RUN}",),
    "runs watch": (f"orchestrator runs watch {RUN}",),
    "runs bulk": ("orchestrator runs bulk 6f1c0a4e9b7d4c2f8a3e5d7b9c1f0e2a --stop",),
    "runs cancel": (
        f"orchestrator runs cancel {RUN} --reason duplicate",
        "orchestrator runs cancel --waiting-for operator --dry-run",
    ),
    "runs terminate": (f"orchestrator runs terminate {RUN} --reason broken",),
    "runs pause": (f"orchestrator runs pause {RUN}",),
    "runs resume": (f"orchestrator runs resume {RUN}",),
    "runs rerun": (
        f"orchestrator runs rerun {RUN}",
        f"orchestrator runs rerun {RUN} --from charge --dry-run",
        f"orchestrator runs rerun {RUN} --path 'each_line[7]'",
        f"orchestrator runs rerun {RUN} --failed-items",
        "orchestrator runs rerun --status failed --since yesterday",
    ),
    "runs resolve": (
        f"orchestrator runs resolve {RUN} charge retry",
        "orchestrator runs resolve order_flow-7k3m pay fallback --value @answer.json",
    ),
    "runs repair": (
        f"orchestrator runs repair {RUN} skip_wait nap",
        """orchestrator runs repair order_flow-7k3m set_variables --value '{"rate": 2}'""",
        "orchestrator runs repair order_flow-7k3m set_parameters pay --value @p.json",
    ),
    "runs migrate": (
        f"orchestrator runs migrate {RUN} --version 3 --dry-run",
        "orchestrator runs migrate order_flow-7k3m --version 3 --map pay=charge",
        "orchestrator runs migrate --workflow order_flow --status waiting --version 3",
    ),
    "runs send": (f"orchestrator runs send {RUN} approved '{{\"by\": 7}}'",),
    "events send": ("""orchestrator events send order.confirmed '{"total": 12}' --event-key order=7""",),
    "deliveries list": ("orchestrator deliveries list --kind webhook --outcome rejected",),
    "deliveries show": (f"orchestrator deliveries show {DELIVERY}",),
    "deliveries redrive": (f"orchestrator deliveries redrive {DELIVERY}",),
    "deliveries release": ("orchestrator deliveries release order_flow",),
    "actions list": ("orchestrator actions list",),
    "actions show": ("orchestrator actions show http.request",),
    "schedule next": (
        "orchestrator schedule next '0 8 * * MON-FRI' --timezone Europe/Berlin",
        "orchestrator schedule next @daily --count 3",
    ),
    "schedule show": ("orchestrator schedule show nightly_report",),
    "schedule trigger": ("orchestrator schedule trigger nightly_report",),
    "schedule backfill": ("orchestrator schedule backfill report --from 2026-03-01 --to 2026-03-07",),
    "keys create": (
        "orchestrator keys create deploy --scopes read,edit --days 90",
        "orchestrator keys create operator --scopes admin --database",
    ),
    "keys list": ("orchestrator keys list",),
    "keys rotate": (f"orchestrator keys rotate {KEY} --grace-hours 24",),
    "keys revoke": (f"orchestrator keys revoke {KEY} --yes",),
    "audit list": ("orchestrator audit list --since 7d", f"orchestrator audit list --target {RUN}"),
    "audit export": ("orchestrator audit export --since 2026-01-01T00:00:00Z > audit.jsonl",),
    "secrets list": ("orchestrator secrets list", "orchestrator secrets list --customer acme"),
    "store migrate": ("orchestrator store migrate",),
}  # fmt: skip
"""By command, the lines that a user types."""

OVERVIEW = {
    "dev": "start everything here",
    "validate": "check a folder",
    "run": "run it without storing it",
    "workflows push": "publish it",
    "runs list": "find what failed",
}
"""What the first example of these commands does, for the help of the program."""


def format_examples(name: str) -> str | None:
    """Return the examples of a command for its help, if it has some."""
    return _format(EXAMPLES[name]) if name in EXAMPLES else None


def format_overview() -> str:
    """Return a few examples for the help of the program."""
    lines = {EXAMPLES[name][0]: meaning for name, meaning in OVERVIEW.items()}
    width = max(map(len, lines))
    return _format(f"{line:<{width}}  {meaning}" for line, meaning in lines.items())


def _format(lines: Iterable[str]) -> str:
    # The first line keeps the line breaks of the paragraph.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
