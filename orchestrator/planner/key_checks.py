"""Check the business keys of a workflow."""

import re
from typing import Any

from orchestrator.jsontools.pointer import escape
from orchestrator.planner.references import collect_uses
from orchestrator.planner.report import Report

MAX_KEYS = 8
KEY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


def check_keys(keys: Any, report: Report) -> None:
    """Check the business keys: few, with plain names, and templates without secrets."""
    at = "/settings/keys"
    if not keys:
        return
    if not isinstance(keys, dict):
        report.add_error("wrong_type", at, "keys must be an object: {name: template}")
        return
    if len(keys) > MAX_KEYS:
        report.add_error("out_of_bounds", at, f"at most {MAX_KEYS} keys, not {len(keys)}")
    for name, value in keys.items():
        pointer = f"{at}/{escape(name)}"
        if not KEY_NAME.fullmatch(name):
            hint = "begin with a letter; use letters, digits, `_` and `-`, at most 40"
            report.add_error("bad_name", pointer, f"{name!r:.60} is not a valid name of a key", hint)
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            report.add_error("wrong_type", pointer, "the value of a key must be a template, text or a number")
    collect_uses([(at, keys, "template")], report)
