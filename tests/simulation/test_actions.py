"""Splits and dividends: the price steps on the ex-date, and what is left of the move is the simulated one."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from simulation.market.cast import draw_cast
from simulation.market.daily import live
from simulation.market.events import REVERSE_BELOW, Action, draw_events, shift_of, stepped
from simulation.market.returns import Factors
from tests.simulation.worlds import LIFE, SEED, all_actions, cast, log_closes, market, moves, names, whole_life
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.adjust import split_adjusted
from trading_assets.market.model import CORPORATE_ACTIONS

SOME = names(0, 120)


def every_split() -> pl.DataFrame:
    return pl.concat([all_actions(symbol) for symbol in SOME]).filter(pl.col("kind") == "split")


def test_all_four_kinds_of_split_occur() -> None:
    counts = every_split().group_by("ratio").len().sort("ratio")
    assert counts["ratio"].to_list() == [0.1, 1.5, 2.0, 3.0]
    assert counts["len"].min() >= 3  # type: ignore[operator]


def test_actions_conform_and_are_knowable_at_the_open_of_the_ex_date() -> None:
    for symbol in SOME[:10]:
        actions = all_actions(symbol)
        assert CORPORATE_ACTIONS.conform(actions).equals(actions)
        for row in actions.iter_rows(named=True):
            assert row["knowable_at"] == XNYS.session(row["session"]).open
            assert (row["kind"] == "split") == (row["ratio"] != 1.0) == (row["amount"] == 0.0)


@pytest.mark.parametrize("symbol", ["SIM000", "SIM003", "SIM005", "SIM055", "SIM101", "SIM250"])
def test_the_move_net_of_actions_is_the_simulated_one(symbol: str) -> None:
    """Within the rounding of two closes and, below, of nothing else."""
    drawn = draw_cast(SEED)
    one, diffusion = drawn.instruments[symbol], Factors(SEED, drawn).diffusion(symbol)
    total = stepped(diffusion, draw_events(SEED, one, diffusion)).total
    life = live(SEED, one, diffusion)
    kept = np.array([n for n in life.numbers if not life.halted[n - life.first]])
    halted_between = np.diff(kept, prepend=kept[0] - 1) > 1
    found = moves(symbol)
    expected = total[kept][1:]
    half_cents = 0.5 / (100 * found["close"].to_numpy()) + 0.5 / (100 * whole_life(symbol)["close"].to_numpy()[:-1])
    ratio = found.join(all_actions(symbol), on="session", how="left")["ratio"].fill_null(1.0).to_numpy()
    allowed = 1.02 * half_cents * np.maximum(1.0, 1 / ratio) + 1e-12
    off = np.abs(found["move"].to_numpy() - expected)
    assert (off <= allowed)[~halted_between[1:]].all()


def test_a_split_steps_the_price_and_multiplies_the_volume() -> None:
    for row in every_split().head(60).iter_rows(named=True):
        bars = whole_life(row["symbol"]).sort("session")
        place = bars["session"].index_of(row["session"])
        assert place is not None
        stepped_by = bars["close"][place] / bars["close"][place - 1] * row["ratio"]
        assert 0.8 < stepped_by < 1.25
        around = bars["volume"][max(0, place - 20) : place].median(), bars["volume"][place : place + 20].median()
        assert around[1] / around[0] / row["ratio"] == pytest.approx(1.0, rel=0.9)  # type: ignore[operator]


def test_adjusted_prices_do_not_step() -> None:
    for symbol in SOME[:40]:
        logs = log_closes(symbol, LIFE)
        amounts = all_actions(symbol)["amount"].max()
        assert np.abs(np.diff(logs)).max() < 0.25, (symbol, amounts)


def test_a_dividend_is_in_whole_cents_a_small_part_of_the_price_and_quarterly() -> None:
    payers = [one for one in cast().values() if one.dividend and one.life == LIFE][:20]
    assert payers
    for one in payers:
        paid = all_actions(one.symbol).filter(pl.col("kind") == "cash_dividend").sort("session")
        assert 90 <= paid.height <= 101
        amounts = paid["amount"].to_numpy()
        assert (amounts == np.rint(100 * amounts) / 100).all()
        before = whole_life(one.symbol).select("session", before=pl.col("close").shift(1))
        parts = paid.join(before, on="session").select(pl.col("amount") / pl.col("before")).to_series()
        assert parts.max() <= 0.008 + 0.005 / REVERSE_BELOW * 2  # type: ignore[operator]
        gaps = paid["session"].diff().drop_nulls().dt.total_days()
        assert gaps.min() >= 88  # type: ignore[operator]
        assert gaps.median() < 95  # type: ignore[operator]


def test_who_pays_nothing_pays_nothing() -> None:
    for one in [one for one in cast().values() if not one.dividend][:20]:
        assert all_actions(one.symbol).filter(pl.col("kind") == "cash_dividend").is_empty()


def test_reverse_splits_keep_prices_away_from_nothing() -> None:
    lowest = min(float(whole_life(symbol)["low"].min()) for symbol in names())  # type: ignore[arg-type]
    assert lowest > 0.5


def test_boards_split_by_their_borders() -> None:
    for row in every_split().iter_rows(named=True):
        bars = whole_life(row["symbol"])
        before = bars.filter(pl.col("session") < row["session"])["close"][-1]
        border = cast()[row["symbol"]].split_above
        if row["ratio"] == 0.1:
            assert before < REVERSE_BELOW
        else:
            excess = before / border
            assert excess > 1
            assert row["ratio"] == (1.5 if excess < 1.06 else 3.0 if excess > 1.35 else 2.0)


@pytest.mark.parametrize(
    ("action", "price", "after"),
    [(Action(1, 2.0, 0.0), 100.0, 50.0), (Action(1, 0.1, 0.0), 3.0, 30.0), (Action(1, 1.0, 1.5), 100.0, 98.5)],
)
def test_an_action_takes_its_part_of_the_price(action: Action, price: float, after: float) -> None:
    assert price * np.exp(shift_of(action, price)) == pytest.approx(after)


def test_no_action_lies_outside_the_life_or_on_a_session_without_trading() -> None:
    for one in cast().values():
        actions = all_actions(one.symbol)
        assert actions.filter(~pl.col("session").is_between(one.first, one.last)).is_empty()
        if one.halts:
            lost = market().halts([one.symbol], LIFE).filter(pl.col("kind") == "session")
            assert actions.join(lost, on="session").is_empty()


def test_a_span_shows_its_own_actions_only() -> None:
    actions = all_actions("SIM003")
    day = actions["session"][5]
    alone = market().corporate_actions("SIM003", Span(day, day))
    assert alone.equals(actions.filter(pl.col("session") == day))
    quiet = Span(XNYS.next(day).day, XNYS.next(day, 5).day)
    assert market().corporate_actions("SIM003", quiet).equals(CORPORATE_ACTIONS.empty())


def test_the_reader_s_adjustment_undoes_the_steps() -> None:
    """Prices in the share count of the end, times that share count, are the same money as traded."""
    bars, actions = whole_life("SIM005"), all_actions("SIM005")
    adjusted = split_adjusted(bars, actions, as_of_session=LIFE.last)
    money = (bars["close"] * bars["volume"]).to_numpy()
    np.testing.assert_allclose((adjusted["close"] * adjusted["volume"]).to_numpy(), money, rtol=1e-12)
    assert bars.filter(pl.col("session") > date(2004, 1, 1)).height == bars.height
