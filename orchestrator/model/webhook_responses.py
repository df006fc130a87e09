"""What a webhook may answer: the table behind the checks and the responses. No I/O."""

import re
from collections.abc import Mapping

RESPOND_KEYS = ("status", "headers", "body")
MIN_STATUS, MAX_STATUS = 200, 599
WITHOUT_BODY = (204, 205, 304)
"""Statuses whose responses have no body (RFC 9110, 15.3.5, 15.3.6 and 15.4.5)."""
RUN_NAMES = ("output", "status", "error")
"""What templates of `respond` can read of the run; a webhook that reads one of them waits for its end."""
RESPOND_NAMES = ("trigger", *RUN_NAMES)
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A token (RFC 9110, section 5.6.2)."""
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4000}")

CONNECTION = "belongs to the connection, which the server manages"
SERVER = "is set by the server"
PAGES = "would apply to other pages of this server"
FORBIDDEN_HEADERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"), CONNECTION
    ),
    **dict.fromkeys(
        ("content-length", "content-encoding", "content-range", "date", "server", "x-content-type-options"), SERVER
    ),
    **dict.fromkeys(("content-security-policy", "content-security-policy-report-only"), SERVER),
    **dict.fromkeys(
        (
            "set-cookie", "set-cookie2", "clear-site-data", "strict-transport-security", "www-authenticate", "alt-svc",
            "service-worker-allowed", "public-key-pins", "report-to", "reporting-endpoints", "nel", "refresh",
        ),
        PAGES,
    ),
}  # fmt: skip
"""Headers that a workflow may not set, with the reason."""
FORBIDDEN_PREFIXES: Mapping[str, str] = {"proxy-": CONNECTION, "sec-": CONNECTION}


def explain_forbidden_header(name: str) -> str | None:
    """Return why a workflow may not set a response header, or None if it may."""
    lower = name.lower()
    reasons = (reason for prefix, reason in FORBIDDEN_PREFIXES.items() if lower.startswith(prefix))
    return FORBIDDEN_HEADERS.get(lower) or next(reasons, None)
