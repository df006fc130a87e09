"""Run the command line as `python -m orchestrator.cli`, without its installed script."""

from orchestrator.cli import main

if __name__ == "__main__":
    main()
