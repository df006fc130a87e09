"""Everything that the API and the command line do with definitions, triggers and runs. No HTTP, no printing."""
