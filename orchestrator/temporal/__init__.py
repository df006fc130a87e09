"""Everything that talks to Temporal; besides this package, only the activity runtime imports temporalio."""
