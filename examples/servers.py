"""A real ERP and CRM over HTTP and a real SMTP server on loopback, for `invoice_reminder`.

`async with run_servers() as servers:` yields their addresses and what they received; `python -m examples.servers`
serves until interrupted, on any free ports. The data is invented.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
MAX_BODY_BYTES = 1_000_000
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large"}

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the HTTP server answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """Parsed JSON, or the text."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the SMTP server accepted."""

    sender: str
    to: tuple[str, ...]
    subject: str
    reply_to: str | None
    text: str


@dataclass(slots=True)
class Servers:
    """Where the servers listen and what they have received."""

    http_url: str = ""
    smtp_host: str = HOST
    smtp_port: int = 0
    mails: list[Mail] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    activities: dict[str, dict[str, Any]] = field(default_factory=dict)
    """CRM entries by idempotency key, so that a repeated request adds nothing."""
    report: Callable[[str], None] = lambda line: None

    @property
    def input(self) -> dict[str, str]:
        """The input that `invoice_reminder` needs for these servers."""
        return {
            "erp_url": f"{self.http_url}/erp",
            "crm_url": f"{self.http_url}/crm",
            "accounting_email": "accounting@acme.example",
        }


def list_invoices(today: datetime | None = None) -> list[dict[str, Any]]:
    """Return the ERP's open invoices: three overdue, one not yet due."""
    now = today or datetime.now(UTC)
    rows = [
        ("INV-1001", 18250.0, 45, "eva@acme.example", ("C-1", "northwind traders", "enterprise")),
        ("INV-1002", 420.5, 12, None, ("C-2", "blue bakery", "standard")),
        ("INV-1003", 2999.99, 3, None, ("C-3", "harbour café", "standard")),
        ("INV-1004", 75.0, -14, None, ("C-4", "green garden", "standard")),
    ]
    return [
        {
            "number": number,
            "amount": amount,
            "status": "open",
            "due_date": (now - timedelta(days=days_late)).date().isoformat(),
            "account_manager": manager,
            "customer": {"id": key, "name": name, "tier": tier, "email": f"{key.lower()}@customers.example"},
        }
        for number, amount, days_late, manager, (key, name, tier) in rows
    ]


def answer(servers: Servers, request: Request) -> Answer:
    """Answer like the ERP and the CRM."""
    match request.method, request.path:
        case "GET", "/erp/invoices":
            today = datetime.now(UTC).date().isoformat()
            overdue = request.query.get("overdue") == "true"
            return 200, {"invoices": [row for row in list_invoices() if not overdue or row["due_date"] < today]}
        case "POST", "/crm/activities":
            key = request.headers.get("idempotency-key", f"request-{len(servers.requests)}")
            entry = servers.activities.setdefault(
                key, {"id": f"A-{len(servers.activities) + 1}", "activity": request.body}
            )
            return 201, {"id": entry["id"]}
        case "GET", "/crm/activities":
            return 200, {"activities": list(servers.activities.values())}
        case _:
            return 404, {"error": f"no such resource: {request.method} {request.path}"}


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one HTTP/1.1 request, or return `None` if the client closed the connection."""
    head = await reader.readline()
    if not head.strip():
        return None
    method, target, _ = head.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while (line := (await reader.readline()).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = min(int(headers.get("content-length", "0")), MAX_BODY_BYTES)
    raw = await reader.readexactly(length)
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers, parse_body(raw))


def parse_body(raw: bytes) -> Any:
    """Parse a body as JSON, or return it as text."""
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text


async def serve_http(servers: Servers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until the client closes it."""
    try:
        while (request := await read_request(reader)) is not None:
            servers.requests.append(request)
            status, document = answer(servers, request)
            servers.report(f"http  {request.method} {request.path} -> {status}")
            body = json.dumps(document).encode()
            head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        servers.report("http  connection lost")
    finally:
        writer.close()


class Inbox:
    """Accepts every mail; aiosmtpd calls the handler by name."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Store the mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = message_from_bytes(content, policy=policy.default)
        part = message.get_body(("plain", "html"))
        mail = Mail(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            str(message["Subject"]),
            None if message["Reply-To"] is None else str(message["Reply-To"]),
            part.get_content().strip() if part else "",
        )
        self.servers.mails.append(mail)
        self.servers.report(f"smtp  to {', '.join(mail.to)}: {mail.subject}")
        return "250 OK"


@asynccontextmanager
async def run_servers(report: Callable[[str], None] = lambda line: None) -> AsyncIterator[Servers]:
    """Serve on free loopback ports for the duration of the context. `report` gets a line per request or mail."""
    state = Servers(report=report)
    loop = asyncio.get_running_loop()
    open_writers: set[asyncio.StreamWriter] = set()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        await serve_http(state, reader, writer)
        open_writers.discard(writer)

    http = await asyncio.start_server(serve_connection, HOST, 0)
    smtp = await loop.create_server(lambda: SMTP(Inbox(state), enable_SMTPUTF8=True), HOST, 0)
    state.http_url = f"http://{HOST}:{http.sockets[0].getsockname()[1]}"
    state.smtp_port = smtp.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        http.close()
        smtp.close()
        for writer in list(open_writers):
            writer.close()
        await asyncio.sleep(0)


async def main() -> None:
    """Serve until interrupted and print what arrives."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with run_servers(report=lambda line: print(line, flush=True)) as running:
        print(
            json.dumps({"http": running.http_url, "smtp": f"{HOST}:{running.smtp_port}", "input": running.input}),
            flush=True,
        )
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
