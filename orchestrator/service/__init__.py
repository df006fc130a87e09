"""What the API and the command line do with definitions, triggers and runs of many customers. No HTTP, no printing."""
