"""The news of the simulated market as a source."""

from datetime import timedelta

import polars as pl
import pytest

from resources.documents.simulated import SimulatedNews
from resources.market_data.simulated import SimulatedMarketData
from tests.market.documents.drafts import window
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.ingest import Collected, collect_news
from trading_assets.market.documents.model import NEWS
from trading_assets.market.documents.ports import Window

SEED = 7
SESSIONS = XNYS.sessions(XNYS.days[5000], XNYS.days[5060])
SPAN = Span(SESSIONS[0].day, SESSIONS[-1].day)
SYMBOLS = tuple(f"SIM{n:03d}" for n in range(40))


def collected(asked: Window, symbols: tuple[str, ...] = SYMBOLS) -> Collected:
    return collect_news([SimulatedNews(seed=SEED)], symbols, asked, stored=NEWS.empty(), calendar=XNYS)


@pytest.fixture(scope="module")
def told() -> pl.DataFrame:
    """What the market itself says."""
    market = SimulatedMarketData(seed=SEED)
    alive = [
        symbol
        for symbol in SYMBOLS
        if market.life(symbol).first <= SPAN.first and market.life(symbol).last >= SPAN.last
    ]
    return market.news(alive, SPAN)


def test_headlines_keep_the_words_and_times_of_the_wire(told: pl.DataFrame) -> None:
    columns = ["symbol", "session", "headline", "published_at", "knowable_at"]
    frame = collected(window(SPAN, SESSIONS[-1].close + timedelta(days=30))).frame
    assert told.height > 0
    assert told.select(columns).join(frame, on=columns, how="anti").is_empty()
    assert frame["source"].unique().to_list() == ["simulated"]
    assert frame["basis"].unique().to_list() == ["published"]


def test_what_the_wire_has_not_sent_is_not_told(told: pl.DataFrame) -> None:
    cut = told["knowable_at"].sort()[told.height // 2]
    session = XNYS.session(told.filter(pl.col("knowable_at") == cut)["session"][0]).day
    found = collected(window(Span(SPAN.first, session), cut))
    assert found.frame["knowable_at"].max() == cut
    assert found.notes == (), "and is not called news from the future either"


def test_a_name_outside_the_cast_is_named_and_the_others_are_told() -> None:
    found = collected(window(SPAN, SESSIONS[-1].close + timedelta(days=30)), ("AAPL", *SYMBOLS))
    assert found.frame.height > 0
    assert len(found.notes) == 1
    assert "AAPL" in found.notes[0]
    assert found.outcomes[0].failure == ""


def test_another_seed_is_another_market() -> None:
    asked = window(SPAN, SESSIONS[-1].close + timedelta(days=30))
    other = collect_news([SimulatedNews(seed=9)], SYMBOLS, asked, stored=NEWS.empty(), calendar=XNYS)
    assert not other.frame.equals(collected(asked).frame)
