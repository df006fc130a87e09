"""Write stored definitions to files."""

import json
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.client import Document
from orchestrator.cli.failures import UsageError
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.definition import SERVICE_KEYS


def write_definitions(documents: Sequence[Document], folder: Path, *, force: bool) -> list[Path]:
    """Write each definition to `ID.json`; return the absolute paths. Raises UsageError before the first is written."""
    files = {folder.resolve() / f"{document['id']}.json": _format_document(document) for document in documents}
    if len(files) < len(documents):
        raise UsageError("workflows of several customers have the same id", hint="choose one with --customer")
    for file, text in files.items():
        if not force and file.exists() and _read(file) != json.loads(text):
            raise UsageError(f"{file} differs from what is stored", hint="--force replaces it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {folder.resolve()}: {error.strerror}") from None
    return list(files)


def _format_document(document: Document) -> str:
    """Return what a person has written of a definition; the customer is named unless it is the default one."""
    content = {key: value for key, value in document.items() if key not in SERVICE_KEYS}
    if document["customer_id"] != DEFAULT_CUSTOMER:
        content["customer_id"] = document["customer_id"]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
