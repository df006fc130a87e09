"""Run the command line as `python -m orchestrator.cli`, without its installed script."""

from orchestrator.cli import main

main()
