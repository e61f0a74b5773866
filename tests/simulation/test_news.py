"""News: a rumour before each jump at the set lead, earnings after the close, and noise that means nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.market import SimulatedMarket
from simulation.market.news import PUBLISHER
from tests.simulation.worlds import LIFE, SEED, YEAR, cast, market, moves, names
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.model import NEWS

FEW = names(0, 10)
RUMOUR = r"talks about|large contract|decisive test|looks into|lose its largest|prepare a recall"
GOOD = r"takeover|large contract|decisive test|above expectations"


def rumours(world: SimulatedMarket) -> pl.DataFrame:
    return world.news(FEW, LIFE).filter(pl.col("headline").str.contains(RUMOUR))


def jumps(world: SimulatedMarket) -> pl.DataFrame:
    return world.events(FEW, LIFE).filter(pl.col("kind") == "jump")


def test_rows_conform_and_are_observed_when_published() -> None:
    news = market().news(FEW, LIFE)
    assert NEWS.conform(news).equals(news)
    assert set(news["publisher"]) == {PUBLISHER} == {"Simulated Wire"}
    assert set(news["basis"]) == {"observed"}
    assert set(news["source"]) == {"simulated"}
    for column in ("fetched_at", "knowable_at"):
        assert news[column].equals(news["published_at"])
    assert news["item"].n_unique() == news.height


def test_the_session_is_the_first_whose_close_is_not_before_publication() -> None:
    for row in market().news(FEW, YEAR).iter_rows(named=True):
        session = XNYS.session(row["session"])
        assert XNYS.previous(session.day).close < row["knowable_at"] <= session.close


@pytest.mark.parametrize("lead", [1, 3, 10])
def test_every_jump_has_a_rumour_at_the_set_lead_whose_words_name_its_direction(lead: int) -> None:
    world = SimulatedMarket(SEED, lead_sessions=lead)
    told = rumours(world).select("symbol", news_session="session", good=pl.col("headline").str.contains(GOOD))
    due = jumps(world)
    assert due.height > 100
    met = due.join(told, on=("symbol", "news_session"), how="left")
    assert met["good"].null_count() == 0
    right = met.group_by("symbol", "session").agg((pl.col("good") == (pl.col("move") > 0)).any().alias("right"))
    assert right["right"].all()
    for row in due.iter_rows(named=True):
        assert XNYS.next(row["news_session"], lead).day == row["session"]


def test_a_rumour_is_out_before_the_close_of_its_session_and_after_the_open() -> None:
    for row in rumours(market()).iter_rows(named=True):
        session = XNYS.session(row["session"])
        assert session.open + timedelta(minutes=30) <= row["published_at"] < session.close - timedelta(minutes=29)


def test_some_rumours_are_false_and_most_are_not() -> None:
    told, due = rumours(market()), jumps(market())
    followed = told.join(due, left_on=("symbol", "session"), right_on=("symbol", "news_session"), how="semi")
    share = followed.height / told.height
    assert 0.3 < share < 0.7


def test_most_news_has_no_consequence() -> None:
    """Moves after plain headlines are as large as moves after no headline at all."""
    plain = market().news(FEW, LIFE).filter(~pl.col("headline").str.contains(RUMOUR + "|earnings"))
    sizes = []
    for symbol in FEW:
        after = moves(symbol).select("session", size=pl.col("move").shift(-1).abs()).drop_nulls()
        told = after.join(plain.filter(pl.col("symbol") == symbol), on="session", how="semi")["size"].to_numpy()
        sizes.append(float(told.mean() / after["size"].to_numpy().mean()))
    assert plain.height > 1000
    assert np.mean(sizes) == pytest.approx(1.0, abs=0.1)


def test_earnings_come_after_the_close_of_the_session_before_the_gap() -> None:
    due = market().events(FEW, LIFE).filter(pl.col("kind") == "earnings")
    told = market().news(FEW, LIFE).filter(pl.col("headline").str.contains("quarterly earnings"))
    assert due.height == told.height > 900
    both = due.join(told, on=("session", "symbol"))
    assert both.height == due.height
    assert (both["headline"].str.contains(GOOD) == (both["move"] > 0)).all()
    for row in both.head(60).iter_rows(named=True):
        before = XNYS.previous(row["session"])
        assert timedelta(minutes=5) <= row["published_at"] - before.close <= timedelta(minutes=60)


def test_an_earnings_gap_is_at_the_open() -> None:
    due = market().events(FEW, LIFE).filter((pl.col("kind") == "earnings") & (pl.col("move").abs() > 0.05))
    assert due.height > 30
    for row in due.head(40).iter_rows(named=True):
        bars = market().daily(row["symbol"], Span(XNYS.previous(row["session"]).day, row["session"]))
        gap = np.log(bars["open"][1] / bars["close"][0])
        assert np.sign(gap) == np.sign(row["move"])
        assert abs(gap - row["move"]) < 0.06


def test_events_stand_out_of_the_usual_moves() -> None:
    ratios = []
    for symbol in FEW:
        usual = moves(symbol).with_columns(usual=pl.col("move").abs().rolling_median(60).shift(1))
        found = usual.join(jumps(market()).filter(pl.col("symbol") == symbol).drop("move"), on="session")
        ratios += (found["move"].abs() / found["usual"]).drop_nulls().to_list()
    assert np.median(ratios) > 4


@settings(max_examples=20, deadline=None)
@given(symbol=st.sampled_from(names()))
def test_quiet_legs_of_pairs_have_no_events_and_others_have_both(symbol: str) -> None:
    one = cast()[symbol]
    found = market().events([symbol], LIFE)
    if one.quiet:
        assert found.is_empty()
        assert market().news([symbol], LIFE).filter(pl.col("headline").str.contains("quarterly earnings")).is_empty()
    else:
        assert "earnings" in set(found["kind"])
    assert found.filter(~pl.col("session").is_between(one.first, one.last)).is_empty()


def test_all_news_lies_in_the_life_of_its_symbol() -> None:
    for one in [one for one in cast().values() if one.life != LIFE][:15]:
        news = market().news([one.symbol], LIFE)
        assert news.filter(~pl.col("session").is_between(one.first, one.last)).is_empty()
        assert news["published_at"].min() > datetime(2004, 1, 1, tzinfo=UTC)  # type: ignore[operator]


def test_without_symbols_or_sessions_there_is_no_news() -> None:
    weekend = Span(YEAR.first - timedelta(days=2), YEAR.first - timedelta(days=1))
    assert market().news([], YEAR).equals(NEWS.empty())
    assert market().news(FEW, weekend).equals(NEWS.empty())
    assert market().events(FEW, weekend).is_empty()
    assert market().halts(FEW, weekend).is_empty()
