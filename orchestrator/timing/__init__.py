"""Cron expressions, fire times and schedules. No clock: every time is passed in. Replay-sensitive."""
