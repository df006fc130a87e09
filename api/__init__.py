"""The HTTP API (SPEC §10): translation between HTTP and `orchestrator.service`, and nothing else."""
