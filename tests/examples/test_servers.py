"""The servers of the example answer real clients."""

from datetime import UTC, datetime
from email.message import EmailMessage

import aiosmtplib
import httpx

from examples.servers import Mail, list_invoices, run_servers


async def test_the_erp_lists_overdue_invoices_only_when_asked_to() -> None:
    async with run_servers() as running, httpx.AsyncClient(base_url=running.http_url, timeout=60) as client:
        overdue = (await client.get("/erp/invoices", params={"overdue": "true"})).json()["invoices"]
        everything = (await client.get("/erp/invoices")).json()["invoices"]

    assert [row["number"] for row in overdue] == ["INV-1001", "INV-1002", "INV-1003"]
    assert len(everything) == 4


async def test_the_crm_keeps_one_entry_for_one_idempotency_key() -> None:
    async with run_servers() as running, httpx.AsyncClient(base_url=running.http_url, timeout=60) as client:
        answers = [
            await client.post("/crm/activities", json={"type": "call"}, headers={"Idempotency-Key": key})
            for key in ("one", "one", "two")
        ]
        kept = (await client.get("/crm/activities")).json()["activities"]

    assert [answer.json()["id"] for answer in answers] == ["A-1", "A-1", "A-2"]
    assert kept == [{"id": "A-1", "activity": {"type": "call"}}, {"id": "A-2", "activity": {"type": "call"}}]
    assert [request.body for request in running.requests[:3]] == [{"type": "call"}] * 3


async def test_an_unknown_path_is_not_found() -> None:
    async with run_servers() as running, httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(f"{running.http_url}/nowhere")).status_code == 404


async def test_the_mail_server_keeps_what_was_sent_and_reports_it() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "billing@acme.example", "office@bluebakery.example"
    message["Subject"], message["Reply-To"] = "Ünpaid", "eva@acme.example"
    message.set_content("Please pay.")
    lines: list[str] = []

    async with run_servers(report=lines.append) as running:
        await aiosmtplib.send(message, hostname=running.smtp_host, port=running.smtp_port, start_tls=False)

    expected = Mail("billing@acme.example", ("office@bluebakery.example",), "Ünpaid", "eva@acme.example", "Please pay.")
    assert running.mails == [expected]
    assert lines == ["smtp  to office@bluebakery.example: Ünpaid"]


def test_one_open_invoice_is_not_due_yet() -> None:
    due = [row["due_date"] for row in list_invoices(datetime(2026, 3, 1, tzinfo=UTC))]

    assert due == ["2026-01-15", "2026-02-17", "2026-02-26", "2026-03-15"]
