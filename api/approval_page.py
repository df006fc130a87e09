"""The page behind the link of an approval: plain HTML without scripts, for phones too. All text is escaped."""

import contextlib
import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from html import escape
from typing import Any

from orchestrator.errors import Problem
from orchestrator.jsontools.pointer import split_pointer
from orchestrator.model.approval_forms import DECISION
from orchestrator.service.approvals import Approval

LONG_TEXT = 200
"""A text that may be longer gets several lines."""
INPUT_TYPES = {"date": "date", "date-time": "datetime-local", "email": "email", "uri": "url", "time": "time"}
STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0}
body{background:light-dark(#f6f7f9,#0f1218);color:light-dark(#1a2230,#e6e9ef)}
main{max-width:34rem;margin:0 auto;padding:1.5rem 1rem;overflow-wrap:anywhere}
h1{font-size:1.4rem;margin:0 0 .5rem}
p{margin:.3rem 0}
.soft{color:light-dark(#5b6678,#98a2b3);font-size:.9rem}
.bad{color:light-dark(#b82424,#ff9696)}
label{display:block;margin-top:1rem;font-weight:600}
label.check{font-weight:400}
input:not([type=checkbox]),select,textarea{box-sizing:border-box;width:100%;font:inherit;padding:.5rem;margin-top:.2rem}
.buttons{display:flex;gap:.75rem;margin-top:1.5rem}
button{flex:1;font:inherit;font-weight:600;padding:.8rem;border-radius:8px;border:1px solid;cursor:pointer}
.yes{background:#1f7a33;border-color:#1f7a33;color:#fff}
.no{background:transparent;color:light-dark(#b82424,#ff9696)}
"""
POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""
STATUSES = {
    "open": 200,
    "accepted": 200,
    "incomplete": 422,
    "invalid": 403,
    "not_asked": 403,
    "decided": 409,
    "expired": 410,
}
UNAVAILABLE = "The request cannot be read at the moment. Please try again in a minute; nothing has been decided."
UNKNOWN = "It is not known whether your answer was taken. Please open the link again in a minute: its page says so."


def render_page(approval: Approval, answer: Mapping[str, Any]) -> str:
    """Return the page of an approval; `answer` is what the person has filled in before."""
    match approval.state:
        case "open" | "incomplete":
            heading, body = approval.title, "\n".join(_render_form(approval, answer))
        case "accepted":
            heading, body = _describe_accepted(approval, answer)
        case "invalid":
            heading = "This link is not valid"
            body = _paragraph("It may be incomplete: copy the whole link from the message.")
        case "not_asked":
            heading = "You cannot decide this"
            body = _paragraph(f"{approval.assignee} is not among the people who are asked.")
        case "decided":
            heading, body = "Already decided", _paragraph(_describe_decided(approval))
        case "expired":
            heading = "This link has expired"
            body = _paragraph("The request is over: its time has passed, or the run has ended.")
    return render_message(heading, body + _render_origin(approval))


def render_message(heading: str, body: str) -> str:
    """Return a page with a heading and HTML below it."""
    return PAGE.format(title=escape(heading), style=STYLE, body=f"<h1>{escape(heading)}</h1>\n{body}")


def _describe_accepted(approval: Approval, answer: Mapping[str, Any]) -> tuple[str, str]:
    decision = "approved" if answer.get(DECISION) else "declined"
    text = f"You have {decision} “{approval.title}”."
    if not approval.is_confirmed:
        text += " Your answer is recorded; the run takes it as soon as it can."
    return "Thank you", _paragraph(text)


def _describe_decided(approval: Approval) -> str:
    who = "You have" if approval.decided_by == approval.assignee else f"{approval.decided_by or 'Someone'} has"
    moment = f" on {_format_moment(approval.decided_at)}" if approval.decided_at else ""
    first = "" if approval.decided_by == approval.assignee else " first: your answer was not counted"
    return f"{who} answered{moment}{first}."


def _format_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d at %H:%M} UTC"


def _render_origin(approval: Approval) -> str:
    if not approval.workflow_name:
        return ""
    return f'\n<p class="soft">{escape(approval.workflow_name)}, run {escape(approval.run_id)}</p>'


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _render_form(approval: Approval, answer: Mapping[str, Any]) -> Iterator[str]:
    yield _paragraph(f"You decide as {approval.assignee}.")
    if approval.until is not None:
        yield f'<p class="soft">Until {_format_moment(approval.until)}.</p>'
    for problem in approval.problems:
        yield f'<p class="bad">{escape(_describe_problem(problem))}</p>'
    yield '<form method="post">'
    required = approval.answer_schema.get("required") or ()
    for name, field in _list_fields(approval):
        yield _render_field(name, field, answer.get(name, field.get("default")), is_required=name in required)
    yield '<div class="buttons">'
    yield f'<button class="no" name="{DECISION}" value="false">Decline</button>'
    yield f'<button class="yes" name="{DECISION}" value="true">Approve</button>'
    yield "</div>\n</form>"


def _describe_problem(problem: Problem) -> str:
    name = ".".join(split_pointer(problem.path))
    return f"{name}: {problem.message}" if name else problem.message


def _list_fields(approval: Approval) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the fields of the form, without the decision, in the order of its author."""
    properties = approval.answer_schema.get("properties") or {}
    return [(name, properties[name]) for name in approval.fields if name != DECISION and name in properties]


def _render_field(name: str, field: Mapping[str, Any], value: Any, *, is_required: bool) -> str:
    label = escape(str(field.get("title") or name))
    own = f'name="{escape(name)}"'
    hint = f'<p class="soft">{escape(str(field["description"]))}</p>' if field.get("description") else ""
    needed = " required" if is_required else ""
    if field.get("enum"):
        return f"<label>{label}{hint}<select {own}{needed}>{_render_choices(field['enum'], value)}</select></label>"
    if field.get("type") == "boolean":
        checked = " checked" if value is True else ""
        return f'<label class="check"><input type="checkbox" value="true" {own}{checked}> {label}{hint}</label>'
    text = "" if value is None else escape(str(value))
    longest = field.get("maxLength")
    limit = f' maxlength="{longest}"' if isinstance(longest, int) else ""
    if field.get("type") == "string" and "format" not in field and (longest is None or longest > LONG_TEXT):
        return f'<label>{label}{hint}<textarea rows="3" {own}{limit}{needed}>{text}</textarea></label>'
    kind = INPUT_TYPES.get(str(field.get("format")), "text")
    if field.get("type") in ("number", "integer"):
        kind = "number"
        limit = ' step="1"' if field["type"] == "integer" else ' step="any"'
    return f'<label>{label}{hint}<input type="{kind}" value="{text}" {own}{limit}{needed}></label>'


def _render_choices(choices: Any, value: Any) -> str:
    options = ['<option value=""></option>']
    for choice in choices:
        text = choice if isinstance(choice, str) else json.dumps(choice, ensure_ascii=False)
        chosen = " selected" if choice == value else ""
        options.append(f'<option value="{escape(json.dumps(choice))}"{chosen}>{escape(text)}</option>')
    return "".join(options)


def read_answer(approval: Approval, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer in the fields of a submitted form; an empty field is left out."""
    answer: dict[str, Any] = {}
    if fields.get(DECISION) in ("true", "false"):
        answer[DECISION] = fields[DECISION] == "true"
    for name, field in _list_fields(approval):
        text = fields.get(name, "").replace("\r\n", "\n")
        if field.get("type") == "boolean" and not field.get("enum"):
            answer[name] = text == "true"
        elif text.strip():
            answer[name] = _read_value(field, text)
    return answer


def _read_value(field: Mapping[str, Any], text: str) -> Any:
    """Return the value of a field; text that is no number, or no choice, stays text, which the schema refuses."""
    if field.get("enum"):
        return next((choice for choice in field["enum"] if json.dumps(choice) == text), text)
    if field.get("type") in ("integer", "number"):
        return _read_number(text, is_whole=field["type"] == "integer")
    return f"{text}:00Z" if field.get("format") == "date-time" and len(text) == len("2026-01-31T08:00") else text


def _read_number(text: str, *, is_whole: bool) -> int | float | str:
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        if not is_whole and math.isfinite(number := float(text)):
            return number
    return text
