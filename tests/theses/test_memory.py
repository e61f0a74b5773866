"""What is remembered comes back by recency, importance and relevance, and never before it was knowable."""

import math
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.lessons import REGIMES, SESSIONS, STRATEGIES, SYMBOLS, close, histories, lesson
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.memory.model import LESSONS, Lesson
from trading_assets.theses.memory.recall import LAYERS, Recalled, known_by, recall, short_term, weighed
from trading_assets.theses.memory.records import (
    PRIOR_TRADES,
    RegimePast,
    lesson_rows,
    lessons_from_rows,
    regime_history,
    track_record,
    track_records,
)

HERE: dict[str, Any] = {"symbol": "AAA", "strategy": "pullback", "regime": "trending_bull"}


def asked(lessons: tuple[Lesson, ...], as_of: datetime, **changes: Any) -> tuple[Lesson, ...]:
    return recall(lessons, as_of=as_of, **{**HERE, **changes})


# As of


@settings(max_examples=25, deadline=None)
@given(lessons=histories(), day=st.integers(0, 130), symbol=st.sampled_from(SYMBOLS), seed=st.integers(0, 9))
def test_later_lessons_never_change_what_was_recalled_before(
    lessons: tuple[Lesson, ...], day: int, symbol: str, seed: int
) -> None:
    """Bit for bit: the same lessons, the same scores, in the same order, in whatever order they are given."""
    as_of = close(day) - timedelta(minutes=1)
    then = tuple(each for each in lessons if each.resolved_at <= as_of)
    mixed = list(lessons)
    random.Random(seed).shuffle(mixed)
    words: dict[str, Any] = {"symbol": symbol, "strategy": "pullback", "regime": "range", "as_of": as_of}
    assert repr(weighed(mixed, **words)) == repr(weighed(then, **words))
    assert short_term(mixed, symbol=symbol, as_of=as_of) == short_term(then, symbol=symbol, as_of=as_of)
    assert repr(track_records(mixed, as_of=as_of)) == repr(track_records(then, as_of=as_of))


def test_a_lesson_is_visible_from_its_own_instant_on() -> None:
    one = lesson(1, 5)
    assert asked((one,), close(5) - timedelta(microseconds=1)) == ()
    assert asked((one,), close(5)) == (one,)


def test_nothing_is_recalled_from_nothing() -> None:
    assert asked((), close(5)) == ()
    assert short_term((), symbol="AAA", as_of=close(5)) == ()


# Scores


def test_a_lesson_that_has_nothing_in_common_is_never_recalled() -> None:
    stranger = lesson(1, symbol="ZZZ", strategy="other", regime="range", earned=9.0)
    assert asked((stranger,), close(1)) == ()


def test_what_is_nearer_to_the_decision_comes_first() -> None:
    by_symbol = lesson(1)
    by_strategy = lesson(2, symbol="BBB")
    by_regime = lesson(3, symbol="BBB", strategy="other")
    all_three = (by_regime, by_strategy, by_symbol)
    assert asked(all_three, close(1)) == (by_symbol, by_strategy, by_regime)
    assert asked(all_three, close(1), limit=1) == (by_symbol,)


def test_the_relevance_is_the_sum_of_what_is_shared() -> None:
    (found,) = weighed((lesson(1, symbol="BBB"),), as_of=close(1), sectors={"AAA": "Tech", "BBB": "Tech"}, **HERE)
    assert found.relevance == pytest.approx(0.3 + 0.2 + 0.1)
    (found,) = weighed((lesson(1, symbol="BBB"),), as_of=close(1), sectors={"AAA": "Tech", "BBB": "Bank"}, **HERE)
    assert found.relevance == pytest.approx(0.3 + 0.2)


def test_a_sector_that_nobody_knows_is_not_shared() -> None:
    unknown = lesson(1, symbol="BBB", strategy="other", regime="other")
    assert weighed((unknown,), as_of=close(1), sectors={}, **HERE) == ()


def test_an_ordinary_lesson_fades_in_two_weeks_and_an_extreme_one_in_a_year() -> None:
    ordinary = [lesson(number, earned=0.01 + number / 10_000) for number in range(20)]
    extreme = lesson(99, earned=-0.3)
    as_of = close(0) + timedelta(days=14)
    found = {each.lesson.id: each for each in weighed([*ordinary, extreme], as_of=as_of, **HERE)}
    assert found["trade0005"].recency == pytest.approx(0.5)
    assert found["trade0099"].recency == pytest.approx(2 ** (-14 / 365))
    assert found["trade0099"].importance == 1.0
    assert asked((*ordinary, extreme), as_of)[0] == extreme


def test_equal_lessons_come_newest_first_and_then_by_id() -> None:
    twins = (lesson(2, 3), lesson(1, 3), lesson(3, 9))
    assert [each.id for each in asked(twins, close(9))] == ["trade0003", "trade0001", "trade0002"]


def test_lessons_that_earned_the_same_are_of_no_importance() -> None:
    found = weighed([lesson(number, earned=0.1) for number in range(3)], as_of=close(1), **HERE)
    assert {each.importance for each in found} == {0.0}


@settings(max_examples=25, deadline=None)
@given(lessons=histories(), day=st.integers(0, 130))
def test_every_part_of_a_score_lies_between_zero_and_one(lessons: tuple[Lesson, ...], day: int) -> None:
    found = weighed(lessons, as_of=close(day), **HERE)
    for each in found:
        assert all(0 <= part <= 1 for part in (each.recency, each.importance, each.relevance))
        assert math.isfinite(each.score)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_layers_reach_down_to_every_lesson_and_deeper_ones_last_longer() -> None:
    assert [least for least, _ in LAYERS] == sorted((least for least, _ in LAYERS), reverse=True)
    assert LAYERS[-1][0] == 0
    assert [days for _, days in LAYERS] == sorted((days for _, days in LAYERS), reverse=True)


def test_a_score_is_the_sum_of_its_parts() -> None:
    assert Recalled(lesson(1), 0.5, 0.25, 0.1).score == pytest.approx(0.85)


def test_a_trade_counts_once() -> None:
    assert known_by((lesson(1), lesson(1)), close(1)) == (lesson(1),)


# Short term


def test_the_last_trades_of_a_symbol_come_newest_first() -> None:
    lessons = (lesson(1, 1), lesson(2, 2, symbol="BBB"), lesson(3, 3), lesson(4, 4), lesson(5, 9))
    assert [each.id for each in short_term(lessons, symbol="AAA", as_of=close(5), limit=2)] == [
        "trade0004",
        "trade0003",
    ]
    assert short_term(lessons, symbol="AAA", as_of=close(5), limit=0) == ()


# Records


def test_a_record_of_nothing_knows_nothing() -> None:
    record = track_record((), as_of=close(1))
    assert (record.n, record.wins, record.win_rate, record.mean_return) == (0, 0, 0.5, 0.0)
    assert (record.sharpe_proxy, record.reward_to_risk, record.expectancy) == (None, None, None)


def test_a_record_is_computed_by_hand() -> None:
    earned = (0.04, 0.02, -0.02, 0.04)
    lessons = [lesson(n, earned=value, r_multiple=100 * value) for n, value in enumerate(earned)]
    record = track_record(lessons, strategy="pullback", regime="trending_bull", as_of=close(1))
    deviation = math.sqrt(sum((value - 0.02) ** 2 for value in earned) / 3)
    assert (record.n, record.wins) == (4, 3)
    assert record.win_rate == pytest.approx((3 + 5) / 14, abs=1e-6)
    assert record.mean_return == pytest.approx(0.08 / 14, abs=1e-6)
    assert record.sharpe_proxy == pytest.approx(0.08 / 14 / deviation, abs=1e-6)
    assert record.reward_to_risk == pytest.approx(((0.10 + 5 * 0.03) / 8) / ((0.02 + 5 * 0.03) / 6), abs=1e-6)
    assert record.expectancy == pytest.approx(8.0 / 14, abs=1e-6)


def test_one_lucky_trade_makes_no_record() -> None:
    record = track_record([lesson(1, earned=0.5, r_multiple=9.0)], as_of=close(1))
    assert record.win_rate < 0.6
    assert record.mean_return < 0.05
    assert record.expectancy is not None
    assert record.expectancy < 1
    assert record.sharpe_proxy is None


def test_many_trades_speak_for_themselves() -> None:
    lessons = [lesson(n, earned=0.02 if n % 4 else -0.01) for n in range(1000)]
    record = track_record(lessons, as_of=close(1))
    assert record.win_rate == pytest.approx(0.75, abs=0.01)
    assert record.mean_return == pytest.approx(0.0125, abs=0.0002)
    assert record.reward_to_risk == pytest.approx(2.0, abs=0.05)


def test_a_record_is_that_of_its_strategy_and_regime() -> None:
    lessons = [lesson(1), lesson(2, strategy="other"), lesson(3, regime="range")]
    assert track_record(lessons, strategy="pullback", as_of=close(1)).n == 2
    assert track_record(lessons, regime="range", as_of=close(1)).n == 1
    assert track_record(lessons, as_of=close(1)).n == 3
    found = track_records(lessons, as_of=close(1))
    assert list(found) == [("other", "trending_bull"), ("pullback", "range"), ("pullback", "trending_bull")]


@settings(max_examples=25, deadline=None)
@given(lessons=histories(), strategy=st.sampled_from(STRATEGIES), regime=st.sampled_from(REGIMES))
def test_a_record_lies_between_nothing_and_its_trades(lessons: tuple[Lesson, ...], strategy: str, regime: str) -> None:
    mine = [e.return_fraction for e in lessons if (e.strategy, e.regime) == (strategy, regime)]
    record = track_record(lessons, strategy=strategy, regime=regime, as_of=close(130))
    assert record.n == len(mine)
    assert 0 < record.win_rate < 1
    plain = sum(mine) / len(mine) if mine else 0.0
    assert min(0.0, plain) - 1e-6 <= record.mean_return <= max(0.0, plain) + 1e-6
    assert record.reward_to_risk is None or record.reward_to_risk > 0
    assert PRIOR_TRADES > 0


# Regimes


def label(day: int, regime: str, symbol: str = "AAA") -> dict[str, Any]:
    return {"session": SESSIONS[day], "symbol": symbol, "regime": regime, "knowable_at": close(day)}


LABELS = [
    label(0, "ranging"),
    label(1, "ranging"),
    label(2, "trending_up"),
    label(3, "trending_up"),
    label(3, "trending_down", "BBB"),
    label(4, "ranging"),
]


def test_the_past_of_a_regime_says_how_long_it_lasts_and_what_came_before() -> None:
    past = regime_history(LABELS, symbol="AAA", as_of=close(3))
    assert past == RegimePast("AAA", "trending_up", 2, ((SESSIONS[0], "ranging"), (SESSIONS[2], "trending_up")))
    assert regime_history(LABELS, symbol="AAA", as_of=close(4), limit=1) == RegimePast(
        "AAA", "ranging", 1, ((SESSIONS[4], "ranging"),)
    )


def test_a_label_that_was_not_knowable_is_not_in_the_past() -> None:
    seen = regime_history(LABELS, symbol="AAA", as_of=close(4) - timedelta(seconds=1))
    assert seen is not None
    assert seen.regime == "trending_up"
    assert regime_history(LABELS, symbol="AAA", as_of=datetime(1999, 1, 1, tzinfo=UTC)) is None
    assert regime_history(LABELS, symbol="ZZZ", as_of=close(4)) is None


def test_the_rows_of_a_past_are_those_of_the_labels() -> None:
    assert {"session", "symbol", "regime", "knowable_at"} <= {column.name for column in REGIME_LABELS.columns}


# Rows


@settings(max_examples=30, deadline=None)
@given(lessons=histories())
def test_lessons_come_back_from_their_rows(lessons: tuple[Lesson, ...]) -> None:
    frame = LESSONS.frame(lesson_rows(lessons))
    back = lessons_from_rows(frame.rows(named=True))
    assert sorted(back, key=lambda each: each.id) == sorted(lessons, key=lambda each: each.id)


def test_votes_are_kept_in_a_row() -> None:
    one = lesson(1, votes={"momentum-persona": 0.5, "contrarian-persona": -1.0})
    (row,) = lesson_rows([one])
    assert row["votes"] == '{"contrarian-persona": -1.0, "momentum-persona": 0.5}'
    assert lessons_from_rows([row]) == (one,)


def test_a_row_that_is_no_lesson_is_refused() -> None:
    (row,) = lesson_rows([lesson(1)])
    with pytest.raises(ValueError, match="grade"):
        lessons_from_rows([{**row, "grade": "Z"}])
    assert row["session"] == date(SESSIONS[0].year, SESSIONS[0].month, SESSIONS[0].day)
