"""Forecast what a run writes into its history, from its plan and the sizes of its data. No I/O, no clock."""
