"""Schedules: when something happens again, as text, as data and as moments."""
