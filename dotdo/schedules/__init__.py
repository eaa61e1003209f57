"""Schedules: when something happens again, as text, as data and as moments; who keeps them, and what they run.

days, daytimes, phrases, times, walls    when, as values that know no present
policies, entry                          what becomes of a time that has come, decided without acting
every, registry                          how a program says it
agenda, handlers, scheduled              what an entity keeps, runs, and hands out
asking                                   what runs when; its functions are this package's: `await dotdo.schedules.list()`
"""

from dotdo.schedules.asking import ScheduleInfo, cancel, get, list, pause, resume  # noqa: A004  # `dotdo.schedules.list()`

__all__ = ["ScheduleInfo", "cancel", "get", "list", "pause", "resume"]
