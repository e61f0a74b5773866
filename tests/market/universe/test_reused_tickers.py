"""Two companies, one ticker: real bars of WM and FB, from the files to the indicators."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from resources.lake import ParquetLake
from resources.market_data.files import FileMarketData
from tests.market.universe.worlds import facts_of, instrument, names, one, written
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.features.indicators import indicator_panel
from trading_assets.market.ingest import Collected, collect_actions, collect_bars
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.market.ports import EmptyAnswer
from trading_assets.market.universe.membership import memberships

WM_END, WM_BEGIN = date(2008, 9, 26), date(2009, 8, 5)
FB_END, FB_BEGIN = date(2003, 3, 28), date(2012, 5, 18)
OWNERS = (
    instrument("WM-20080926", ticker="WM", last_session=WM_END),
    instrument("WM", first_session=WM_BEGIN),
    instrument("FB-20030328", ticker="FB", last_session=FB_END),
    instrument("FB", first_session=FB_BEGIN),
)
EVERYTHING = Span(date(1999, 10, 1), date(2021, 3, 31))


@pytest.fixture
def provider(shared_data: Path, tmp_path: Path) -> FileMarketData:
    """A folder of files in which each ticker is one file, as a vendor delivers it."""
    daily = tmp_path / "files" / "daily"
    daily.mkdir(parents=True)
    for name in ("wm", "fb"):
        content = (shared_data / "lean" / "daily" / f"{name}_daily.csv").read_bytes()
        (daily / f"{name.upper()}.csv").write_bytes(content)
    return FileMarketData(tmp_path / "files")


def collected(provider: FileMarketData, *owners: Instrument, span: Span = EVERYTHING) -> Collected:
    return collect_bars(provider, owners or OWNERS, "1d", span)


def of(frame: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return frame.filter(pl.col("symbol") == symbol).sort("session")


def test_each_company_has_its_own_bars_under_its_own_symbol(provider: FileMarketData) -> None:
    frame = collected(provider).frame
    washington, waste = of(frame, "WM-20080926"), of(frame, "WM")
    assert washington["session"][-1] == WM_END
    assert washington["close"][-1] == 0.16
    assert waste["session"][0] == WM_BEGIN
    assert waste["close"][0] == 28.58
    assert of(frame, "FB-20030328")["session"][-1] == FB_END
    assert of(frame, "FB")["session"][0] == FB_BEGIN


def test_no_bar_is_lost_or_doubled(provider: FileMarketData) -> None:
    plain = collect_bars(provider, ["WM", "FB"], "1d", EVERYTHING).frame
    ours = collected(provider).frame
    assert ours.height == plain.height
    assert ours["close"].sum() == pytest.approx(plain["close"].sum())


def test_a_span_inside_one_life_notes_the_other(provider: FileMarketData) -> None:
    early = collected(provider, *OWNERS[:2], span=Span(date(2008, 1, 2), date(2008, 12, 31)))
    assert early.frame["symbol"].unique().to_list() == ["WM-20080926"]
    assert "begins on 2009-08-05" in early.notes["WM"]
    late = collected(provider, *OWNERS[:2], span=Span(date(2010, 1, 4), date(2010, 12, 31)))
    assert late.frame["symbol"].unique().to_list() == ["WM"]
    assert "ended on 2008-09-26" in late.notes["WM-20080926"]


def test_a_span_outside_all_lives_is_empty_and_says_so(provider: FileMarketData) -> None:
    with pytest.raises(EmptyAnswer, match="WM-20080926"):
        collected(provider, OWNERS[0], span=Span(date(2010, 1, 4), date(2010, 12, 31)))


def test_overlapping_lives_never_reach_the_provider(provider: FileMarketData) -> None:
    with pytest.raises(ConfigurationError, match="trade as WM at once"):
        collected(provider, OWNERS[0], instrument("WM"))


def test_indicators_of_one_company_never_see_the_others_bars(provider: FileMarketData) -> None:
    """The panel of both together equals the panel of each alone, bit by bit; of one mixed file it would not."""
    span = Span(date(2008, 6, 2), date(2010, 8, 31))
    frame = collected(provider, *OWNERS[:2]).frame
    none = CORPORATE_ACTIONS.empty()
    together = indicator_panel(frame, none, span=span)
    for symbol in ("WM-20080926", "WM"):
        alone = indicator_panel(of(frame, symbol), none, span=span)
        assert of(together, symbol).equals(alone)
    first = of(together, "WM").row(0, named=True)
    assert first["session"] == WM_BEGIN
    assert first["sma_20"] is None
    mixed = indicator_panel(collect_bars(provider, ["WM"], "1d", EVERYTHING).frame, none, span=span)
    assert mixed.filter(pl.col("session") == WM_BEGIN)["sma_20"][0] is not None


def test_the_twentieth_bar_of_the_new_company_has_its_own_mean(provider: FileMarketData) -> None:
    waste = of(collected(provider).frame, "WM")
    panel = indicator_panel(
        collected(provider).frame, CORPORATE_ACTIONS.empty(), span=Span(WM_BEGIN, date(2009, 12, 31))
    )
    row = of(panel, "WM").row(19, named=True)
    assert row["session"] == waste["session"][19]
    assert row["sma_20"] == pytest.approx(waste["close"][:20].mean())


def test_both_live_side_by_side_in_the_lake(provider: FileMarketData, tmp_path: Path) -> None:
    lake = ParquetLake(tmp_path / "lake")
    symbols = [owner.symbol for owner in OWNERS]
    lake.merge(DAILY_BARS, collected(provider).frame, EVERYTHING, replacing={"symbol": symbols})
    close = XNYS.session(EVERYTHING.last).close
    stored = lake.read(DAILY_BARS, as_of=close, symbols=["WM-20080926"])
    assert stored["session"].max() == WM_END
    assert lake.read(DAILY_BARS, as_of=close, symbols=["WM"])["session"].min() == WM_BEGIN


def test_a_universe_holds_each_company_in_its_own_time(provider: FileMarketData) -> None:
    config = written(
        {"all": {"base": "instruments", "filters": [{"field": "price", "operator": "greater_than", "value": 0.1}]}}
    )
    facts = facts_of(collected(provider).frame, instruments=list(OWNERS))
    held = {
        session: names(memberships(config, facts, span=one(session), calendar=XNYS).frame, "all", session)
        for session in (FB_END, WM_END, WM_BEGIN, FB_BEGIN)
    }
    assert held[FB_END] == ["FB-20030328", "WM-20080926"]
    assert held[WM_END] == ["WM-20080926"]
    assert held[WM_BEGIN] == ["WM"]
    assert held[FB_BEGIN] == ["FB", "WM"]


def test_momentum_does_not_reach_into_the_other_life(provider: FileMarketData) -> None:
    """A year after 2009-08-05 the new company has its first twelve-month momentum, and not a session earlier."""
    config = written(
        {"strong": {"base": "instruments", "filters": [{"field": "momentum_12_1", "operator": "top_n", "value": 1}]}}
    )
    facts = facts_of(collected(provider, *OWNERS[:2]).frame, instruments=list(OWNERS[:2]))
    first = XNYS.next(WM_BEGIN, 252).day
    before = memberships(config, facts, span=one(XNYS.previous(first).day), calendar=XNYS)
    assert "momentum_12_1 has no value" in before.refusals[0].what
    assert names(memberships(config, facts, span=one(first), calendar=XNYS).frame, "strong", first) == ["WM"]


def test_actions_are_kept_in_the_life_they_fell_into(provider: FileMarketData, tmp_path: Path) -> None:
    folder = tmp_path / "files" / "actions"
    folder.mkdir()
    (folder / "WM.csv").write_text(
        "date,kind,ratio,amount\n2008-04-28,cash_dividend,,0.01\n2009-09-09,cash_dividend,,0.29\n"
    )
    frame = collect_actions(provider, OWNERS[:2], EVERYTHING).frame
    assert frame.select("symbol", "session").rows() == [
        ("WM-20080926", date(2008, 4, 28)),
        ("WM", date(2009, 9, 9)),
    ]


def test_a_change_of_share_class_is_two_lives_of_one_ticker(shared_data: Path, tmp_path: Path) -> None:
    """GOOG was the class A share until 2014-04-02 and is the class C share since."""
    daily = tmp_path / "classes" / "daily"
    daily.mkdir(parents=True)
    (daily / "GOOG.csv").write_bytes((shared_data / "lean" / "daily" / "goog_daily.csv").read_bytes())
    classes = (
        instrument("GOOG-20140402", ticker="GOOG", last_session=date(2014, 4, 2)),
        instrument("GOOG", first_session=date(2014, 4, 3)),
    )
    frame = collect_bars(FileMarketData(tmp_path / "classes"), classes, "1d", EVERYTHING).frame
    before, after = of(frame, "GOOG-20140402")["close"][-1], of(frame, "GOOG")["close"][0]
    assert before / after == pytest.approx(2.0, rel=0.02)
    assert frame.height == 4183
