"""Escape text for Temporal's page, which renders summaries and details as Markdown. Replay-sensitive.

The name of a node could otherwise be a link, an image or a heading there, or reverse the text around it.
"""

import re

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of text (Unicode, UAX 9)."""
SPACES = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
MARKUP = re.compile(
    r"[\\`*<~@]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside a word an underscore is text
    r"|\](?=[(\[])"
    r"|&(?=[#A-Za-z])"
    r"|:(?=//)|(?<=www)\.",
    re.IGNORECASE,
)
"""What begins markup of CommonMark, or a link of GitHub's extension."""
BLOCK = re.compile(r"^(\s*)(\d*)([#>+=.)-])")
"""What begins a heading, a quotation or a list."""


def escape_markdown(text: str) -> str:
    """Return Markdown that shows the text as it is, on one line."""
    escaped = MARKUP.sub(r"\\\g<0>", SPACES.sub(" ", text))
    return CONTROLS.sub(lambda match: "\\" + _name_control(match), BLOCK.sub(r"\1\2\\\3", escaped))


def quote_code(text: str) -> str:
    """Return a text as inline code; backticks in it become apostrophes."""
    return f"`{CONTROLS.sub(_name_control, SPACES.sub(' ', text)).replace('`', chr(39))}`"


def _name_control(match: "re.Match[str]") -> str:
    return f"\\u{ord(match[0]):04x}"
