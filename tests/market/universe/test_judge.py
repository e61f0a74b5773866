from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from tests.market.universe.test_pairs import configured, facts_from, planted
from tests.market.universe.worlds import DAYS, bars_of, facts_of, instrument, one, written
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.universe.judge import Judgement, judge_pairs, judge_universes, sampled
from trading_assets.market.universe.membership import memberships
from trading_assets.market.universe.pairs import cointegrated_pairs

SPAN = Span(DAYS[0].day, DAYS[9].day)
CONFIG = written(
    {
        "dear": {
            "base": "instruments",
            "filters": [{"field": "price", "operator": "greater_than", "value": 20.0}],
            "min_securities": 2,
            "max_securities": 3,
            "rank_by": {"field": "price"},
            "rebalance": "weekly",
        },
        "maybe": {
            "base": "instruments",
            "filters": [{"field": "momentum_12_1", "operator": "top_n", "value": 2}],
            "required": False,
        },
    }
)
FACTS = facts_of(bars_of({name: [level] * 10 for name, level in (("AAA", 30.0), ("BBB", 40.0), ("CCC", 10.0))}))
ROWS = memberships(CONFIG, FACTS, span=SPAN, calendar=XNYS).frame
ANEW = {day: ROWS.filter(pl.col("session") == day) for day in sampled(SPAN, XNYS)}


def judged(rows: pl.DataFrame, instruments: list[Instrument] | None = None) -> Judgement:
    lives = instruments or list(FACTS.instruments)
    return judge_universes(rows, CONFIG, lives, span=SPAN, calendar=XNYS, anew=ANEW)


def test_what_was_computed_holds() -> None:
    assert not judged(ROWS).failures


def test_an_optional_universe_that_is_missing_is_a_warning_and_a_required_one_a_failure() -> None:
    verdict = judged(ROWS)
    assert len(verdict.warnings) == 10
    assert "universe maybe has no member on" in verdict.warnings[0]
    without = judged(ROWS.filter(pl.col("session") != DAYS[3].day))
    assert f"universe dear has no member on {DAYS[3].day}" in without.failures


_SPOILS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "nothing at all": (lambda rows: rows.clear(), "has no member"),
    "one member for all": (lambda rows: rows.filter(pl.col("symbol") == "AAA"), "min_securities is 2"),
    "a constant member": (lambda rows: rows.with_columns(pl.lit("ZZZ").alias("symbol")), "computed anew differ"),
    "a member too many": (
        lambda rows: pl.concat([rows, rows.with_columns(symbol=pl.col("symbol") + "X")]),
        "max_securities is 3",
    ),
    "a universe that nobody wrote down": (
        lambda rows: pl.concat([rows, rows.with_columns(pl.lit("other").alias("universe"))]),
        "other is not in config/universes.yaml",
    ),
    "carried from the wrong session": (
        lambda rows: rows.with_columns(pl.lit(DAYS[2].day).alias("rebalanced_on")),
        "was not computed on",
    ),
    "another rank": (lambda rows: rows.with_columns(rank=3 - pl.col("rank")), "the same members with other values"),
    "another score": (lambda rows: rows.with_columns(score=pl.col("score") + 1e-9), "other values"),
    "swapped members": (
        lambda rows: rows.with_columns(symbol=pl.col("symbol").replace({"BBB": "CCC"})),
        "dear/BBB, dear/CCC",
    ),
}


@pytest.mark.parametrize("spoil", _SPOILS)
def test_spoilt_rows_fail_with_a_sentence_about_it(spoil: str) -> None:
    change, sentence = _SPOILS[spoil]
    assert any(sentence in failure for failure in judged(change(ROWS)).failures)


def test_a_member_outside_its_life_fails_by_name_and_day() -> None:
    lives = [instrument("AAA", last_session=DAYS[4].day), instrument("BBB"), instrument("CCC")]
    assert f"AAA is a member on {DAYS[5].day}, outside its life" in judged(ROWS, lives).failures


@pytest.mark.parametrize(("first", "last", "count"), [(0, 0, 1), (0, 1, 2), (0, 9, 3)])
def test_first_middle_and_last_are_sampled(first: int, last: int, count: int) -> None:
    days = sampled(Span(DAYS[first].day, DAYS[last].day), XNYS)
    assert len(days) == count
    assert days[0] == DAYS[first].day
    assert days[-1] == DAYS[last].day


PAIRS = configured(pairs_max=1)
PAIR_FACTS = facts_from(dict(zip(("AAA", "BBB"), planted(1), strict=True)))
PAIR_DAY: date = DAYS[319].day
PAIR_ROWS = cointegrated_pairs(PAIRS, PAIR_FACTS, span=one(PAIR_DAY), calendar=XNYS).frame


def pairs_judged(rows: pl.DataFrame, instruments: list[Instrument] | None = None) -> Judgement:
    return judge_pairs(rows, PAIRS, instruments or list(PAIR_FACTS.instruments), anew={PAIR_DAY: PAIR_ROWS})


def test_pairs_that_were_computed_hold() -> None:
    assert PAIR_ROWS.height == 1
    assert not pairs_judged(PAIR_ROWS).failures


_PAIR_SPOILS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "no pair": (lambda rows: rows.clear(), "computed anew differ: two/"),
    "a weak pair": (lambda rows: rows.with_columns(p_value_adjusted=pl.lit(0.2)), "does not meet its own limits"),
    "a slow pair": (lambda rows: rows.with_columns(half_life_sessions=pl.lit(500.0)), "does not meet its own limits"),
    "a mirror image": (lambda rows: rows.with_columns(beta=pl.lit(-1.0)), "does not meet its own limits"),
    "another spread": (lambda rows: rows.with_columns(spread_z=pl.lit(0.0)), "the same members with other values"),
    "a constant pair": (lambda rows: rows.with_columns(pl.lit("ZZZ").alias("symbol_b")), "computed anew differ"),
    "a pair too many": (
        lambda rows: pl.concat([rows, rows.with_columns(pl.lit("ZZZ").alias("symbol_b"))]),
        "more than 1 on",
    ),
    "a stranger": (lambda rows: rows.with_columns(pl.lit("three").alias("universe")), "three is not in config"),
}


@pytest.mark.parametrize("spoil", _PAIR_SPOILS)
def test_spoilt_pairs_fail_with_a_sentence_about_it(spoil: str) -> None:
    change, sentence = _PAIR_SPOILS[spoil]
    assert any(sentence in failure for failure in pairs_judged(change(PAIR_ROWS)).failures)


@pytest.mark.parametrize("ended", ["AAA", "BBB"])
def test_a_pair_of_which_one_has_ended_fails(ended: str) -> None:
    lives = [instrument(s, last_session=DAYS[300].day if s == ended else None) for s in ("AAA", "BBB")]
    assert any(f"{ended} is a member" in failure for failure in pairs_judged(PAIR_ROWS, lives).failures)
