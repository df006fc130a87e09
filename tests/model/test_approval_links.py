"""A link can be read by whoever has the key that signed it, and by nobody else."""

from datetime import UTC, datetime

import pytest

from orchestrator.model.approval_links import ApprovalLink, parse_token

KEY = "a key of the tests"
LINK = ApprovalLink("run-1", "decision", "each[3]", "änn@example.com", datetime(2026, 5, 1, 12, 30, 15, 7, tzinfo=UTC))


def test_a_token_says_what_the_link_names() -> None:
    assert parse_token(LINK.sign(KEY), KEY) == LINK


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: "A" + token,
        lambda token: token.partition(".")[0],
        lambda token: f"{token.partition('.')[0]}.",
        lambda token: "",
        lambda token: "é" * 20,
        lambda token: token + "." * 5000,
    ],
    ids=["signature", "content", "no signature", "empty signature", "nothing", "not ASCII", "long"],
)
def test_a_forged_token_says_nothing(forge: object) -> None:
    assert parse_token(forge(LINK.sign(KEY)), KEY) is None  # type: ignore[operator]


def test_another_key_makes_a_link_invalid() -> None:
    assert parse_token(LINK.sign(KEY), "another key of the tests") is None
