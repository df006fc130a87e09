"""Names of workflows and nodes are shown as text in Temporal's page, whatever they contain."""

import pytest

from orchestrator.temporal.markdown import escape_markdown, quote_code

SHOWN = [
    ("Nice name", "Nice name"),
    ("Both [0]", "Both [0]"),
    ("nightly_report (v2)", "nightly_report (v2)"),
    ("[pay here](https://evil.example)", r"[pay here\](https\://evil.example)"),
    ("![x](http://evil.example/a.png)", r"![x\](http\://evil.example/a.png)"),
    ("<img src=x>", r"\<img src=x>"),
    ("**done** _now_ ~~not~~ `x`", r"\*\*done\*\* \_now\_ \~\~not\~\~ \`x\`"),
    ("www.evil.example ada@evil.example", r"www\.evil.example ada\@evil.example"),
    ("# heading", r"\# heading"),
    ("1. first", r"1\. first"),
    ("2) second", r"2\) second"),
    ("> quoted", r"\> quoted"),
    ("- item", r"\- item"),
    ("+ item", r"\+ item"),
    ("=== heading", r"\=== heading"),
    ("a\nb\r\n- c", "a b - c"),
    ("&#x202e;cod.exe &amp; R&D", r"\&#x202e;cod.exe \&amp; R\&D"),
    ("invoice\u202egpj.exe", "invoice\\\\u202egpj.exe"),
    ("\u061c\u200e\u200f\u2066\x9f", "\\\\u061c\\\\u200e\\\\u200f\\\\u2066\\\\u009f"),
    ("\x1b[31mred\x00", "\\\\u001b[31mred\\\\u0000"),
    ("a\\b", r"a\\b"),
]


@pytest.mark.parametrize(("text", "markdown"), SHOWN)
def test_text_is_escaped(text: str, markdown: str) -> None:
    assert escape_markdown(text) == markdown


@pytest.mark.parametrize(
    ("text", "markdown"), [("each[0]/a_b", "`each[0]/a_b`"), ("a`b\u2066\n", "`a'b\\u2066 `"), ("**x**", "`**x**`")]
)
def test_ids_are_inline_code(text: str, markdown: str) -> None:
    assert quote_code(text) == markdown
