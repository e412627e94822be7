"""Schedules: calls that are sent again and again, by whichever worker is there."""
