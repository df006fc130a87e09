"""The definitions in `examples/`, in JSON and YAML."""

from pathlib import Path
from typing import Any

from orchestrator.cli.files import list_definition_files
from orchestrator.jsontools.documents import parse_document

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = [Path(name) for name in list_definition_files([str(FOLDER)])]
BY_NAME = {path.stem: path for path in EXAMPLES}


def load_example(path: Path) -> dict[str, Any]:
    """Return the definition in a file."""
    return dict(parse_document(path.read_text(), path.name).value)
