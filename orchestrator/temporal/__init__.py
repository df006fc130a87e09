"""Everything that talks to Temporal; nothing outside this package imports temporalio, except activities."""
