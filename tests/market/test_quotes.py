"""The gate of quotes: each rule is tripped by one wrong minute, and simulated quotes pass."""

import math
from datetime import date, timedelta

import polars as pl
import pytest

from simulation.market import SimulatedMarket
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market.ingest import collect_quotes, refuse_mixture
from trading_assets.market.model import QUOTE_BARS
from trading_assets.market.quotes import MINUTES_TO_MOVE, judge_quotes

DAY = date(2024, 3, 28)
SPAN = Span(DAY, DAY)


def quotes(minutes: int = 60) -> pl.DataFrame:
    session = XNYS.session(DAY)
    starts = [session.open + timedelta(minutes=number) for number in range(minutes)]
    return QUOTE_BARS.frame(
        [
            {
                "symbol": "AAA",
                "session": DAY,
                "start": start,
                "bid": 100.0 + number / 100,
                "ask": 100.02 + number / 100,
                "bid_depth": 300.0,
                "ask_depth": 500.0,
                "source": "test",
                "knowable_at": start + timedelta(minutes=1),
            }
            for number, start in enumerate(starts)
        ]
    )


def failures(frame: pl.DataFrame) -> str:
    (verdict,) = judge_quotes(frame, span=SPAN, calendar=XNYS)
    assert verdict.passed == (not verdict.failures)
    return "; ".join(verdict.failures)


def changed(**values: object) -> pl.DataFrame:
    """The quotes with other values in their fifth minute."""
    fifth = pl.int_range(pl.len()) == 4
    frame = quotes()
    return frame.with_columns(
        pl.when(fifth).then(pl.lit(value, dtype=frame.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def test_sound_quotes_pass() -> None:
    assert failures(quotes()) == ""


def test_quotes_without_depth_pass() -> None:
    assert failures(quotes().with_columns(bid_depth=pl.lit(None, pl.Float64), ask_depth=pl.lit(None, pl.Float64))) == ""


def test_a_session_without_quotes_passes() -> None:
    assert failures(QUOTE_BARS.empty()) == ""


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"bid": 100.5}, "the bid is above the ask"),
        ({"bid": 0.0}, "prices must be above 0"),
        ({"bid": math.nan}, "not finite"),
        ({"ask": math.inf}, "not finite"),
        ({"ask_depth": -1.0}, "below 0"),
        ({"ask": 150.0}, "a spread of 40.0%"),
        ({"start": XNYS.session(DAY).close}, "starts outside the session"),
        ({"start": XNYS.session(DAY).open + timedelta(minutes=4, seconds=1)}, "not the start of a minute"),
        ({"start": XNYS.session(DAY).open + timedelta(minutes=3)}, "stands 2 times"),
    ],
)
def test_one_wrong_minute_closes_the_gate(values: dict[str, object], sentence: str) -> None:
    said = failures(changed(**values))
    assert sentence in said
    assert "AAA" in said


def test_quotes_that_never_move_close_the_gate() -> None:
    still = quotes().with_columns(bid=pl.lit(100.0), ask=pl.lit(100.02))
    assert "not one of them differs" in failures(still)
    assert failures(still.head(MINUTES_TO_MOVE - 1)) == ""


def test_simulated_quotes_pass_and_their_verdict_does_not_depend_on_other_sessions() -> None:
    week = Span(date(2024, 3, 25), DAY)
    frame = SimulatedMarket(7).quotes("SIM003", week)
    verdicts = judge_quotes(frame, span=week, calendar=XNYS)
    assert [verdict.failures for verdict in verdicts] == [(), (), (), ()]
    assert judge_quotes(frame.filter(session=DAY), span=SPAN, calendar=XNYS) == verdicts[-1:]


def test_a_source_without_quotes_says_so_and_delivers_none() -> None:
    from resources.market_data.embedded import EmbeddedMarketData

    collected = collect_quotes(EmbeddedMarketData(), ["AAPL"], SPAN)
    assert collected.frame.is_empty()
    assert collected.notes == {"every symbol": "embedded has no quotes"}


def test_quotes_of_the_simulated_market_are_collected() -> None:
    from resources.market_data.simulated import SimulatedMarketData

    collected = collect_quotes(SimulatedMarketData(7), ["SIM001", "SIM003"], SPAN)
    assert set(collected.frame["symbol"]) == {"SIM001", "SIM003"}
    assert QUOTE_BARS.conform(collected.frame).equals(collected.frame)


@pytest.mark.parametrize(
    ("arriving", "stored"), [({"simulated"}, {"yfinance"}), ({"files", "yfinance"}, {"simulated"})]
)
def test_simulated_and_real_prices_do_not_mix(arriving: set[str], stored: set[str]) -> None:
    with pytest.raises(PermanentFailure, match="do not go into one lake"):
        refuse_mixture(arriving, stored)


@pytest.mark.parametrize(
    ("arriving", "stored"),
    [({"simulated"}, set()), ({"simulated"}, {"simulated"}), ({"yfinance"}, {"files"}), (set(), {"simulated"})],
)
def test_everything_else_may_be_stored(arriving: set[str], stored: set[str]) -> None:
    refuse_mixture(arriving, stored)
