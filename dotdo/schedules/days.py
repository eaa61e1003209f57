"""Which days: a rule that says yes or no to a date, and says itself in words.

A day passes if its month, its place in the month and its weekday all pass, and of those that pass in a month only the
n-th is taken, if the rule counts ("the first Monday", "the last weekday"). Then it counts every so many days, if told to.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date

WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = tuple(calendar.month_name[1:])
ALL_WEEK = (0, 1, 2, 3, 4, 5, 6)
WORKING = (0, 1, 2, 3, 4)
WEEKEND = (5, 6)
LAST = -1
FIRST_DAY = date(1970, 1, 1).toordinal()
"""Where the count of "every 3 days" begins: the same day on every host."""

_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", LAST: "last"}


@dataclass(frozen=True, slots=True)
class Days:
    """Which days pass.

    Args:
        weekdays: 0 is Monday.
        nth: 1 to 5, or -1 for the last, among the days of the month that pass otherwise; 0 takes all of them.
        month_days: 1 to 31, or -1 for the last day; empty for any. A month without such a day is passed over.
        months: 1 to 12; empty for any.
        step: every so many days, counted from `begin` (an ordinal date).
    """

    weekdays: tuple[int, ...] = ALL_WEEK
    nth: int = 0
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    step: int = 1
    begin: int = FIRST_DAY

    def match(self, day: date) -> bool:
        """True if the day passes."""
        if not self._passes(day.year, day.month, day.day):
            return False
        if self.step > 1 and (day.toordinal() - self.begin) % self.step:
            return False
        return self.nth == 0 or self._place(day) == (self.nth if self.nth > 0 else 1)

    def _passes(self, year: int, month: int, day: int) -> bool:
        if self.months and month not in self.months:
            return False
        if self.month_days:
            is_last = LAST in self.month_days and day == _length(year, month)
            if not is_last and day not in self.month_days:
                return False
        return calendar.weekday(year, month, day) in self.weekdays

    def _place(self, day: date) -> int:
        """Which of the passing days of its month it is: from the front, or from the back when the last is wanted."""
        others = range(1, day.day) if self.nth > 0 else range(day.day + 1, _length(day.year, day.month) + 1)
        return 1 + sum(self._passes(day.year, day.month, other) for other in others)

    def __str__(self) -> str:
        if self.step > 1:
            if self.step % 7 == 0:
                return f"every {self.step // 7} weeks on {WEEKDAY_NAMES[(self.begin - 1) % 7]}"
            return f"every {self.step} days"
        months = _listed([MONTH_NAMES[month - 1] for month in self.months])
        if self.nth:
            return f"on the {_ORDINALS[self.nth]} {_named(self.weekdays, ' or ')} of {months or 'every month'}"
        if self.month_days:
            days = ["last day" if day == LAST else ordinal(day) for day in self.month_days]
            return f"on the {_listed(days)} of {months or 'every month'}"
        return f"every {_named(self.weekdays, ' and ')}{f' in {months}' if months else ''}"


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _named(weekdays: tuple[int, ...], last: str) -> str:
    groups = {ALL_WEEK: "day", WORKING: "weekday", WEEKEND: "weekend day"}
    return groups.get(weekdays) or _listed([WEEKDAY_NAMES[day] for day in weekdays], last)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _listed(words: list[str], last: str = " and ") -> str:
    return last.join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
