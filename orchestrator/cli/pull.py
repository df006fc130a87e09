"""Write stored definitions to files."""

import json
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.client import Document
from orchestrator.cli.failures import UsageError
from orchestrator.model.customers import DEFAULT_CUSTOMER
from orchestrator.model.definition import SERVICE_KEYS


def write_definitions(
    documents: Sequence[Document], folder: Path, *, force: bool, yaml: Sequence[str] | None = None
) -> list[Path]:
    """Write each definition to `ID.json`, or its text to `ID.yaml`; return the absolute paths.

    Raises UsageError before the first is written.
    """
    ending = "json" if yaml is None else "yaml"
    texts = [_format_document(document) for document in documents] if yaml is None else yaml
    names = [folder.resolve() / f"{document['id']}.{ending}" for document in documents]
    files = dict(zip(names, texts, strict=True))
    if len(files) < len(documents):
        raise UsageError("workflows of several customers have the same id", hint="choose one with --customer")
    for file, text in files.items():
        if not force and file.exists() and _read(file) != (json.loads(text) if yaml is None else text):
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
        text = file.read_text(encoding="utf-8")
        return json.loads(text) if file.suffix == ".json" else text
    except (OSError, ValueError):
        return None
