"""An evening: where every experiment stands after each session, and what is over."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.evaluation.books import account, fills, positions, trades
from tests.evaluation.experiments.designs import design, noise
from trading_assets.core.calendar import XNYS
from trading_assets.core.money import usd
from trading_assets.core.parameters import Change, Parameters, Tuned
from trading_assets.evaluation.experiments.assignment import sessions_of
from trading_assets.evaluation.experiments.evening import BROKEN, Evening, in_course, judged, result_of
from trading_assets.evaluation.experiments.measures import Record
from trading_assets.evaluation.experiments.model import Design, Ended, Registered


def records(made: Design, basis_points: Mapping[date, float]) -> Callable[[date], Record]:
    """Books whose equity makes the returns of the sessions, from the session before the first on."""
    rows, equity = [], Decimal(100_000)
    for day in [XNYS.previous(made.first).day, *basis_points]:
        equity *= 1 + Decimal(str(basis_points.get(day, 0.0))) / 10_000
        zero = dict.fromkeys(("fees", "dividends", "traded_value"), Decimal(0))
        counts = {"positions": 0, "decisions": 1, "plans": 0, "vetoes": 0}
        value = usd(equity)
        rows.append({"session": day, "cash": value, "market_value": Decimal(0), "equity": value, **zero, **counts})

    def record_of(session: date) -> Record:
        known = account(*(row for row in rows if row["session"] <= session))  # type: ignore[operator]
        return Record(session, known, trades(), fills(), positions(), {})

    return record_of


def evening(made: Design, values: Mapping[date, float], days: list[date], tuned: Tuned | None = None) -> Evening:
    now = XNYS.session(days[-1]).close + timedelta(minutes=20)
    return judged([Registered(made)], records(made, values), tuned or Tuned(Parameters()), days, now=now, calendar=XNYS)


def test_every_session_of_an_experiment_has_its_standing() -> None:
    made = design()
    values = noise(made, 45, seed=3)
    days = list(values)
    found = evening(made, values, days[36:45])
    assert [each.session for each in found.standings] == days[36:45]
    assert [each.look for each in found.standings] == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert found.endings == ()


def test_a_backfill_says_what_single_evenings_said() -> None:
    made = design()
    values = noise(made, 42, seed=3)
    days = list(values)
    at_once = evening(made, values, days[36:42]).standings
    one_by_one = tuple(evening(made, values, [day]).standings[0] for day in days[36:42])
    assert at_once == one_by_one


def test_a_decided_experiment_ends_and_is_silent_afterwards() -> None:
    made = design(spending="pocock")
    values = noise(made, 60, effect=25.0)
    days = list(values)
    now = XNYS.session(days[39]).close + timedelta(minutes=20)
    found = judged([Registered(made)], records(made, values), Tuned(), days[38:46], now=now, calendar=XNYS)
    (ended,) = found.endings
    assert (ended.experiment, ended.verdict, ended.session) == ("wider-stop", "better", days[39])
    assert [each.session for each in found.standings] == days[38:40]
    assert "The arm is better than control." in ended.reason


def test_an_experiment_found_over_late_keeps_its_arms_up_to_the_session_in_course() -> None:
    """The evening of session 40 was missed; on the next, in the middle of session 43, the arms are still those of the design."""
    made = design(spending="pocock")
    values = noise(made, 60, effect=25.0)
    days = list(values)
    now = XNYS.session(days[42]).open + timedelta(hours=2)
    found = judged([Registered(made)], records(made, values), Tuned(), [days[41]], now=now, calendar=XNYS)
    assert found.endings[0].session == days[42]
    assert found.standings[0].decided == days[39]


def test_a_moved_parameter_ends_it_with_the_session_before() -> None:
    made = design()
    values = noise(made, 30)
    days = list(values)
    tuned = Tuned(Parameters(), (Change("stop_atr", 1.75, days[20]),))
    found = evening(made, values, days[18:24], tuned)
    assert found.endings == (Ended("wider-stop", days[19], "broken", BROKEN),)
    assert [each.session for each in found.standings] == days[18:21]


def test_without_a_running_experiment_nothing_is_read() -> None:
    made = design()
    days = sessions_of(made, XNYS)

    def unread(session: date) -> Record:
        raise AssertionError(f"{session} was read")

    over = Registered(made, Ended("wider-stop", days[3], "stopped", "enough"))
    now = datetime(2024, 6, 3, 21, tzinfo=UTC)
    assert judged([over], unread, Tuned(), days[4:9], now=now, calendar=XNYS) == Evening((), ())
    before = [XNYS.previous(made.first).day]
    assert judged([Registered(made)], unread, Tuned(), before, now=now, calendar=XNYS) == Evening((), ())


def test_the_end_is_stored_with_the_numbers_of_every_arm() -> None:
    made = design()
    found = evening(made, noise(made, 80, seed=8), list(noise(made, 80))[79:])
    told = result_of(found.standings)["wide"]
    assert isinstance(told, dict)
    assert told["verdict"] == "no_difference"
    assert told["look"] == 3
    assert told["observations"] == told["observations_control"] == 40


def test_the_session_in_course_is_the_newest_that_has_opened() -> None:
    tuesday = XNYS.session(date(2024, 1, 16))
    assert in_course(tuesday.open, XNYS) == tuesday.day
    assert in_course(tuesday.open - timedelta(seconds=1), XNYS) == date(2024, 1, 12)
    assert in_course(tuesday.close + timedelta(hours=3), XNYS) == tuesday.day
