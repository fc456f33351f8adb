"""Days to act by, counted in working hours of the calendar, and how both languages write dates and amounts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

_SATURDAY = 5
_DAY = timedelta(days=1)
_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "tr": ("Pazartesi", "Salı", "Çarşamba", "Perşembe", "Cuma", "Cumartesi", "Pazar"),
}
_MONTHS = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    "tr": (
        "Ocak", "Şubat", "Mart", "Nisan", "Mayıs", "Haziran", "Temmuz", "Ağustos", "Eylül", "Ekim", "Kasım", "Aralık",
    ),
}  # fmt: skip


def within(start: datetime, hours: int) -> datetime:
    """The moment ``hours`` after ``start``, UTC, the hours of Saturdays and Sundays left out."""
    at = _workday_from(start.astimezone(UTC))
    left = timedelta(hours=hours)
    while True:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        if left <= midnight - at:
            end = at + left
            return end if end.weekday() < _SATURDAY else end - timedelta(microseconds=1)
        left -= midnight - at
        at = _workday_from(midnight)


def _workday_from(at: datetime) -> datetime:
    while at.weekday() >= _SATURDAY:
        at = at.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    return at


def workday_on_or_after(day: date) -> date:
    """The day, or the Monday after a weekend."""
    while day.weekday() >= _SATURDAY:
        day += _DAY
    return day


def next_turn(since: date, every: int, today: date) -> date:
    """The next of the days that come around every so many days after a day, weekends put off to Monday."""
    turns = max(1, -(-(today - since).days // every))
    return workday_on_or_after(since + every * turns * _DAY)


def workday_on_or_before(day: date) -> date:
    """The day, or the Friday before a weekend."""
    while day.weekday() >= _SATURDAY:
        day -= _DAY
    return day


def said_date(day: date, lang: str) -> str:
    """``Friday 27 November 2026`` or ``27 Kasım 2026 Cuma``."""
    weekday, month = _WEEKDAYS[lang][day.weekday()], _MONTHS[lang][day.month - 1]
    return f"{day.day} {month} {day.year} {weekday}" if lang == "tr" else f"{weekday} {day.day} {month} {day.year}"


def said_amount(amount: Decimal, currency: str, lang: str) -> str:
    """``1,250.50 USD`` or ``1.250,50 USD``; decimals only where there are any."""
    text = f"{amount:,.2f}" if amount != amount.to_integral_value() else f"{amount:,.0f}"
    if lang == "tr":
        text = text.translate(str.maketrans(",.", ".,"))
    return f"{text} {currency}".rstrip()


def said_span(hours: int, lang: str) -> str:
    """``48 hours``, ``3 working days``; ``48 saat``, ``3 iş günü``."""
    if hours <= 48 or hours % 24:
        return f"{hours} saat" if lang == "tr" else f"{hours} hour{'s' if hours != 1 else ''}"
    return f"{hours // 24} iş günü" if lang == "tr" else f"{hours // 24} working days"


def said_window(hours: int, lang: str) -> str:
    """A span to act within: hours say that weekends are left out, which working days say already."""
    span = said_span(hours, lang)
    if span.endswith(("saat", "hour", "hours")):
        return f"{span}, hafta sonları hariç" if lang == "tr" else f"{span}, weekends not counted"
    return span
