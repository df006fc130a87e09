"""What the service keeps: definitions, triggers, deliveries, the index of runs, keys."""
