"""Paths of iterations, branches and batches."""

import pytest

from orchestrator.model.run_paths import is_inside


@pytest.mark.parametrize(
    ("path", "scope", "is_in"),
    [
        ("each[2]", "", True),
        ("each[2]/fork[0]", "each[2]", True),
        ("each[20]", "each[2]", False),
        ("each[500]", "each[500..999]", True),
        ("each[999]/rows[3]", "each[500..999]", True),
        ("each[1000]", "each[500..999]", False),
        ("each[17]", "each[500..999]", False),
        ("each~1[500]", "each[500..999]", False),
        ("rows[1]/each[500]", "rows[1]/each[500..999]", True),
        ("rows[1]/each[500..999]", "rows[0..4]", True),
        ("each[500..999]", "each[500..999]", True),
    ],
)
def test_a_path_is_inside_a_scope_or_a_batch(path: str, scope: str, is_in: bool) -> None:
    assert is_inside(path, scope) == is_in
