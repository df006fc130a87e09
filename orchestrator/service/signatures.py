"""Check the signature of a webhook's request."""

import re

from orchestrator.errors import OrchestratorError

SIGNATURE_HEADER = "X-Orchestrator-Signature"


SIGNATURE_PREFIX = "sha256="


TIMESTAMP_HEADER = "X-Orchestrator-Timestamp"


TOLERANCE_SECONDS = 300.0


STAMPED = re.compile(rb"\d{9,13}\.")


class SignatureRefused(OrchestratorError):
    """The request is not signed as it must be."""

    code = "signature_refused"


class SecretMissing(OrchestratorError):
    """The secret of this webhook is not set here: no request can be checked."""

    code = "secret_missing"
