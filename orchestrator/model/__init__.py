"""The data that crosses layers: definition, plan and run. No behaviour, no I/O."""
