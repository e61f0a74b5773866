"""What every member of the port MarketData promises, checked on each of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.market_data import PROVIDERS, provider_named
from resources.market_data.embedded import EmbeddedMarketData
from resources.market_data.files import FileMarketData
from resources.market_data.ib_pacing import Pacing
from resources.market_data.interactive_brokers import InteractiveBrokersMarketData
from resources.market_data.simulated import SimulatedMarketData
from resources.market_data.yahoo import YahooMarketData
from tests.resources.market_data import listings
from tests.resources.market_data.yahoo_server import Traded
from tests.tws.gateway import running
from tests.tws.history import History
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.core.settings import InteractiveBrokersData
from trading_assets.core.tables import Table
from trading_assets.market.hours import BAR_LENGTH
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData, UnknownSymbol, UnsupportedRequest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")


@dataclass(frozen=True)
class Case:
    """A member with what it is known to hold: a split as traded, and a stretch of intraday bars."""

    provider: MarketData
    split_day: date
    closes_around_split: tuple[float, float]
    around_split: Span
    intraday: tuple[Frequency, Span]
    nothing: Span
    symbol: str = "AAPL"
    ratio: float = 7.0
    has_actions: bool = True


def _embedded() -> Case:
    return Case(
        EmbeddedMarketData(),
        date(2005, 2, 28),
        (88.99, 44.86),
        Span(date(2005, 2, 22), date(2005, 3, 4)),
        ("1m", Span(date(2026, 7, 30), date(2026, 8, 3))),
        Span(date(1999, 1, 4), date(1999, 1, 8)),
        ratio=2.0,
    )


def _simulated() -> Case:
    return Case(
        SimulatedMarketData(seed=7),
        date(2004, 4, 1),
        (122.01, 60.93),
        Span(date(2004, 3, 25), date(2004, 4, 7)),
        ("1m", Span(date(2004, 3, 31), date(2004, 4, 5))),
        Span(date(1999, 1, 4), date(1999, 1, 8)),
        symbol="SIM000",
        ratio=2.0,
    )


def _of_apple(provider: MarketData, nothing: Span) -> Case:
    closes = {bar.start.date(): bar.close for bar in listings.APPLE.bars["1d"]}
    day = listings.SPLIT_DAY
    return Case(
        provider,
        day,
        (closes[XNYS.previous(day).day], closes[day]),
        Span(date(2014, 6, 2), date(2014, 6, 13)),
        ("1m", Span(date(2014, 6, 5), date(2014, 6, 10))),
        nothing,
    )


def _files(root: Path) -> Case:
    for folder in ("daily", "intraday/1m", "actions"):
        (root / folder).mkdir(parents=True)
    days = [(bar.start.date().isoformat(), bar) for bar in listings.APPLE.bars["1d"]]
    minutes = [(bar.start.isoformat(), bar) for bar in listings.APPLE.bars["1m"]]
    (root / "daily" / "AAPL.csv").write_text(_csv("date", days))
    (root / "intraday" / "1m" / "AAPL.csv").write_text(_csv("time", minutes))
    (root / "actions" / "AAPL.csv").write_text(f"date,kind,ratio,amount\n{listings.SPLIT_DAY},split,7,\n")
    return _of_apple(FileMarketData(root), Span(date(2015, 1, 5), date(2015, 1, 9)))


def _csv(column: str, bars: list[tuple[str, Traded]]) -> str:
    rows = [f"{stamp},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}" for stamp, bar in bars]
    return "\n".join([f"{column},open,high,low,close,volume", *rows])


@contextmanager
def _brokers(root: Path) -> Iterator[Case]:
    """Interactive Brokers, which knows no actions: the folder of files tells it the splits."""
    splits = _files(root).provider
    with running(History(listings.BROKERS).gateway()) as gateway:
        where = InteractiveBrokersData(port=gateway.port)
        provider = InteractiveBrokersMarketData(
            where, as_of=listings.AS_OF, splits=_Quiet(splits), pacing=Pacing(sleep=lambda _: None)
        )
        yield replace(_of_apple(provider, Span(date(2014, 1, 4), date(2014, 1, 5))), has_actions=False)
        provider.close()


class _Quiet:
    """A source of splits that says of a symbol that it does not know: there were none."""

    def __init__(self, source: MarketData) -> None:
        self._source = source

    @property
    def name(self) -> str:
        return self._source.name

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        return self._source.bars(symbol, frequency, span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        try:
            return self._source.corporate_actions(symbol, span)
        except UnknownSymbol:
            return CORPORATE_ACTIONS.empty()


@pytest.fixture(params=["embedded", "files", "yfinance", "simulated", "ib"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "embedded":
        yield _embedded()
    elif request.param == "files":
        yield _files(tmp_path / "files")
    elif request.param == "simulated":
        yield _simulated()
    elif request.param == "ib":
        with _brokers(tmp_path / "files") as case:
            yield case
    else:
        desk: Callable[[], YahooMarketData] = request.getfixturevalue("desk")
        yield _of_apple(desk(), Span(date(2014, 1, 4), date(2014, 1, 5)))


def daily(case: Case) -> pl.DataFrame:
    return case.provider.bars(case.symbol, "1d", case.around_split)


def intraday(case: Case) -> pl.DataFrame:
    return case.provider.bars(case.symbol, *case.intraday)


def tables(case: Case) -> list[tuple[Table, pl.DataFrame]]:
    bars = [(DAILY_BARS, daily(case)), (INTRADAY_BARS, intraday(case))]
    if not case.has_actions:
        return bars
    return [*bars, (CORPORATE_ACTIONS, case.provider.corporate_actions(case.symbol, case.around_split))]


def refuses_actions(case: Case, span: Span) -> bool:
    """Whether the member says of actions that it never has them, and not that there were none."""
    if case.has_actions:
        return False
    with pytest.raises(UnsupportedRequest, match=rf"{case.provider.name}.*{case.symbol}"):
        case.provider.corporate_actions(case.symbol, span)
    return True


def test_rows_conform_to_their_table_and_are_sorted_by_its_key(case: Case) -> None:
    for table, frame in tables(case):
        assert frame.height
        assert table.conform(frame).equals(frame)


def test_sessions_lie_in_the_span_and_are_sessions_of_the_exchange(case: Case) -> None:
    assert daily(case)["session"].to_list() == [
        session.day for session in XNYS.sessions(case.around_split.first, case.around_split.last)
    ]
    _, span = case.intraday
    known = {session.day for session in XNYS.sessions(span.first, span.last)}
    assert set(intraday(case)["session"]) <= known


def test_rows_name_symbol_and_source(case: Case) -> None:
    for _, frame in tables(case):
        assert set(frame["symbol"]) == {case.symbol}
        assert set(frame["source"]) == {case.provider.name}


def test_prices_are_as_traded_on_both_sides_of_a_split(case: Case) -> None:
    closes = dict(daily(case).select("session", "close").rows())
    around = (closes[XNYS.previous(case.split_day).day], closes[case.split_day])
    assert around == pytest.approx(case.closes_around_split, abs=1e-4)


def test_the_split_stands_beside_the_bars(case: Case) -> None:
    if refuses_actions(case, case.around_split):
        return
    actions = case.provider.corporate_actions(case.symbol, case.around_split).filter(pl.col("kind") == "split")
    row = actions.row(0, named=True)
    assert (row["session"], row["ratio"], row["amount"]) == (case.split_day, case.ratio, 0.0)
    assert row["knowable_at"] == XNYS.session(case.split_day).open


@pytest.mark.fault(80)
def test_a_daily_bar_is_knowable_at_the_close_and_not_before(case: Case) -> None:
    for row in daily(case).iter_rows(named=True):
        session = XNYS.session(row["session"])
        assert (row["start"], row["knowable_at"]) == (session.open, session.close)


def test_an_intraday_bar_is_knowable_at_its_end(case: Case) -> None:
    length = BAR_LENGTH[case.intraday[0]]
    for row in intraday(case).iter_rows(named=True):
        session = XNYS.session(row["start"].astimezone(NEW_YORK).date())
        assert row["session"] == session.day
        assert session.open <= row["start"] < session.close
        assert row["knowable_at"] == min(row["start"] + length, session.close)


def test_an_unknown_symbol_is_refused_by_name(case: Case) -> None:
    with pytest.raises(UnknownSymbol, match=rf"{case.provider.name}.*ZZZQ"):
        case.provider.bars("ZZZQ", "1d", case.around_split)


def test_a_span_without_bars_is_an_empty_answer_that_names_provider_and_symbol(case: Case) -> None:
    with pytest.raises(EmptyAnswer, match=rf"{case.provider.name}.*{case.symbol}"):
        case.provider.bars(case.symbol, "1d", case.nothing)


def test_a_span_without_actions_is_an_empty_frame(case: Case) -> None:
    quiet = Span(case.split_day + timedelta(days=1), case.split_day + timedelta(days=4))
    if refuses_actions(case, quiet):
        return
    assert case.provider.corporate_actions(case.symbol, quiet).equals(CORPORATE_ACTIONS.empty())


def test_a_part_of_the_span_is_served(case: Case) -> None:
    one_day = Span(case.split_day, case.split_day)
    alone = case.provider.bars(case.symbol, "1d", one_day)
    assert alone.equals(daily(case).filter(pl.col("session") == case.split_day))


def test_asking_twice_gives_the_same_rows(case: Case) -> None:
    assert daily(case).equals(daily(case))


@pytest.mark.parametrize("name", PROVIDERS)
def test_providers_are_made_by_their_name(name: str, tmp_path: Path) -> None:
    as_of = datetime(2024, 1, 2, tzinfo=UTC)
    assert provider_named(name, files_path=str(tmp_path), as_of=as_of, cache=tmp_path / "cache").name == name


def test_other_names_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    as_of = datetime(2024, 1, 2, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="bloomberg"):
        provider_named("bloomberg", files_path=None, as_of=as_of, cache=tmp_path)
    with pytest.raises(ConfigurationError, match="--path"):
        provider_named("files", files_path=None, as_of=as_of, cache=tmp_path)
