"""Outlines of a day that the tests plan by."""

from dataclasses import replace
from datetime import date, datetime, time

from trading_assets.core.calendar import NEW_YORK, XNYS, Calendar
from trading_assets.core.day import PART_NAMES, Outline, Part, PartName
from trading_assets.core.operations import OperationsSettings, Weekly
from trading_assets.core.settings import PROJECT, Decisions, load_settings

DECISIONS: Decisions = load_settings(PROJECT / "config").decisions
OUTLINE = Outline(XNYS, OperationsSettings(), DECISIONS, PART_NAMES, dispatches=True)


def at(text: str) -> datetime:
    """A New York instant, from YYYY-MM-DDTHH:MM."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def weekly(**told: object) -> Outline:
    """The outline with other words about the weekly desk."""
    operations = OperationsSettings(weekly=Weekly.model_validate(told))
    return replace(OUTLINE, operations=operations)


def calendar(*, closed: frozenset[date] = frozenset(), early: dict[date, time] | None = None) -> Calendar:
    """XNYS with further closed days and half-days, as an entry of its table makes them."""
    hours = {**XNYS.hours, **{day: (time(9, 30), close) for day, close in (early or {}).items()}}
    return Calendar(XNYS.first, XNYS.last, XNYS.closed | closed, hours)


def part(name: PartName, day: str, label: str = "", outline: Outline = OUTLINE) -> Part:
    """One part of a session."""
    parts = outline.parts_of(outline.calendar.session(date.fromisoformat(day)))
    [found] = [one for one in parts if (one.name, one.label) == (name, label)]
    return found
