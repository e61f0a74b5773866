"""Slots exist while the session is open, and only one is due at a time."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.settings import config_folder, load_settings
from trading_assets.core.slots import NoSlot, Slot, due_slot, slots_of

LABELS = load_settings(config_folder()).decisions.slots
GRACE = timedelta(minutes=10)


def test_a_full_session_has_thirteen_slots_from_the_open_to_half_past_three() -> None:
    slots = slots_of(XNYS.session(date(2024, 7, 5)), LABELS)
    assert [slots[0].label, slots[-1].label, len(slots)] == ["09:30", "15:30", 13]
    assert [slot.is_first for slot in slots] == [True] + [False] * 12


def test_slots_after_an_early_close_do_not_exist() -> None:
    slots = slots_of(XNYS.session(date(2024, 7, 3)), LABELS)
    assert slots[-1].label == "12:30"


def test_a_slot_is_due_from_its_time_until_its_grace_ends() -> None:
    assert _due("2024-07-05", "10:00:00") == "10:00"
    assert _due("2024-07-05", "10:09:59") == "10:00"
    assert "never runs late" in _due("2024-07-05", "10:10:00")


def test_before_the_open_after_the_close_and_on_a_holiday_the_reason_says_so() -> None:
    assert "no slot of 2024-07-05 has begun" in _due("2024-07-05", "09:29:59")
    assert "closed at 13:00" in _due("2024-07-03", "13:00:00")
    assert "not a session; the next one is 2024-07-05" in _due("2024-07-04", "10:00:00")


@given(st.dates(date(1990, 3, 1), date(2027, 12, 31)), st.integers(0, 24 * 3600 - 1))
@settings(deadline=None)
def test_a_due_slot_has_begun_less_than_its_grace_ago_in_an_open_session(day: date, second: int) -> None:
    now = datetime.combine(day, time(), NEW_YORK).astimezone(UTC) + timedelta(seconds=second)
    due = due_slot(XNYS, LABELS, as_of=now, grace=GRACE)
    if isinstance(due, Slot):
        assert due.session.open <= due.at <= now < min(due.at + GRACE, due.session.close)
    else:
        assert due.reason


@given(st.dates(date(1990, 3, 1), date(2027, 12, 31)))
@settings(deadline=None)
def test_slots_ascend_inside_the_session_whatever_its_hours(day: date) -> None:
    session = XNYS.next(day)
    times = [slot.at for slot in slots_of(session, LABELS)]
    assert times == sorted(set(times))
    assert all(session.open <= at < session.close for at in times)


def _due(day: str, clock: str) -> str:
    now = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), NEW_YORK)
    due = due_slot(XNYS, LABELS, as_of=now, grace=GRACE)
    return due.reason if isinstance(due, NoSlot) else due.label
