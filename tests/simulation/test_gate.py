"""The desk's quality gate on the simulated market: it passes, but for the halted sessions that the truth names."""

from datetime import date

import polars as pl
import pytest

from tests.simulation.worlds import LIFE, MONTH, cast, market, names
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.expectations import SessionVerdict
from trading_assets.market.quality import judge_daily, judge_intraday


def daily_verdicts(symbols: list[str], span: Span) -> list[SessionVerdict]:
    reach = Span(XNYS.previous(span.first, 30).day, span.last)
    actions = pl.concat([market().corporate_actions(symbol, reach) for symbol in symbols])
    return judge_daily(market().daily_panel(symbols, reach), actions, span=span, calendar=XNYS)


def intraday_bars(symbols: list[str], span: Span) -> pl.DataFrame:
    frames = [market().intraday(symbol, f, span) for symbol in symbols for f in ("1m", "5m", "1h")]  # type: ignore[arg-type]
    return pl.concat(frames)


@pytest.mark.parametrize(
    "span", [Span(date(2008, 1, 2), date(2010, 12, 31)), Span(date(2019, 6, 3), date(2022, 5, 31))]
)
def test_daily_bars_of_forty_symbols_pass_without_a_finding(span: Span) -> None:
    verdicts = daily_verdicts(names(0, 40), span)
    assert len(verdicts) > 600
    assert [verdict for verdict in verdicts if verdict.failures or verdict.warnings] == []


def test_only_a_halted_session_fails_and_the_sentence_names_its_symbol() -> None:
    one = next(one for one in cast().values() if one.halts)
    lost = market().halts([one.symbol], LIFE).filter(pl.col("kind") == "session")
    day = lost["session"][0]
    span = Span(XNYS.previous(day, 10).day, XNYS.next(day, 10).day)
    verdicts = daily_verdicts(["SIM000", one.symbol], span)
    failed = {verdict.session: verdict.failures for verdict in verdicts if not verdict.passed}
    assert set(failed) == set(lost.filter(pl.col("session").is_between(span.first, span.last))["session"])
    assert all(f"{one.symbol}: no bar" in sentence for sentence in failed[day])


def test_intraday_bars_pass_also_on_an_early_close() -> None:
    verdicts = judge_intraday(intraday_bars(names(0, 5), MONTH), span=MONTH, calendar=XNYS)
    assert len(verdicts) == 21
    assert [verdict for verdict in verdicts if verdict.failures or verdict.warnings] == []


def test_intraday_bars_of_jump_sessions_pass_in_spite_of_the_pause() -> None:
    jumps = (
        market().events(names(0, 20), LIFE).filter(pl.col("kind") == "jump").sort(pl.col("move").abs(), descending=True)
    )
    for row in jumps.head(6).iter_rows(named=True):
        day = Span(row["session"], row["session"])
        verdict = judge_intraday(intraday_bars([row["symbol"]], day), span=day, calendar=XNYS)[0]
        assert verdict.passed, verdict.failures


def test_without_its_actions_the_same_market_fails() -> None:
    """The gate sees the steps that the actions explain."""
    split = next(
        row
        for symbol in names(0, 60)
        for row in market().corporate_actions(symbol, LIFE).filter(pl.col("ratio") >= 2).iter_rows(named=True)
    )
    span = Span(XNYS.previous(split["session"], 40).day, split["session"])
    bars = market().daily(split["symbol"], span)
    judged = Span(split["session"], split["session"])
    with_actions = market().corporate_actions(split["symbol"], span)
    assert judge_daily(bars, with_actions, span=judged, calendar=XNYS)[0].passed
    assert not judge_daily(bars, with_actions.clear(), span=judged, calendar=XNYS)[0].passed
