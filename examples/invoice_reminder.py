"""The invoice reminder, end to end: a local ERP, CRM and mail server, an embedded Temporal server, one run.

`make run` calls `python -m examples.invoice_reminder`. It is `orchestrator run --server embedded` with servers to talk
to. It stops everything that it starts; the state stays in `.orchestrator/`.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from examples.servers import Mail, Servers, run_servers

HERE = Path(__file__).parent
DEFINITION = HERE / "invoice_reminder.json"
INPUT = HERE / "invoice_reminder.input.json"
LOOPBACK = "127.0.0.1/32"
NEXT = """
what to do next:
  . .venv/bin/activate                  put the command `orchestrator` on your PATH
  orchestrator dev                      serve: the run above is then at http://127.0.0.1:8233
  docs/tutorial.md                      write a workflow of your own, in half an hour"""


async def main() -> int:
    """Serve, run, print what arrived and return the exit code of the run."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with run_servers() as running:
        print(f"ERP and CRM  {running.http_url}\nmail server  {running.smtp_host}:{running.smtp_port}\n", flush=True)
        code = await run(running)
        print(f"\n{len(running.mails)} mails arrived, {len(running.activities)} entries in the CRM:")
        for mail in running.mails:
            print(format_mail(mail))
    print(NEXT)
    return code


async def run(running: Servers) -> int:
    """Run the command with the addresses of the servers in its input and settings."""
    input_data = {**json.loads(INPUT.read_text()), **running.input}
    settings = {
        "ORCHESTRATOR_SMTP_HOST": running.smtp_host,
        "ORCHESTRATOR_SMTP_PORT": str(running.smtp_port),
        "ORCHESTRATOR_HTTP_ALLOWED_NETWORKS": LOOPBACK,
    }
    command = (sys.executable, "-m", "orchestrator.cli", "run", str(DEFINITION), "--server", "embedded")
    process = await asyncio.create_subprocess_exec(
        *command, "--input", json.dumps(input_data), env={**os.environ, **settings}
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def format_mail(mail: Mail) -> str:
    """Return a mail as one line."""
    return f"  to {', '.join(mail.to)}: {mail.subject}"


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
