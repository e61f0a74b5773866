"""Sources in one order: who answers, what is passed on, what is not, and what is said when nobody can."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.market_data import sources_of
from resources.market_data.chain import ChainedMarketData
from resources.market_data.embedded import EmbeddedMarketData
from resources.market_data.files import FileMarketData
from tests.market.frames import SESSIONS, actions_frame, daily_frame, daily_row
from trading_assets.core.errors import ConfigurationError, DeskError, TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.settings import CrossCheck, Instrument, Market, ProviderName
from trading_assets.market.ingest import collect_actions, collect_bars
from trading_assets.market.model import DAILY_BARS, Frequency
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    ProviderUnavailable,
    UnknownSymbol,
    UnsupportedRequest,
)

SPAN = Span(SESSIONS[0].day, SESSIONS[4].day)
PASSED_ON = (ProviderUnavailable, UnsupportedRequest, UnknownSymbol, EmptyAnswer)


@dataclass
class Source:
    """A source that answers with one bar per session, or fails as told; it remembers what it was asked."""

    name: str
    failure: type[DeskError] | None = None
    sessions: int = 5
    asked: list[str] = field(default_factory=list)

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        self._ask(f"{frequency} bars of {symbol} up to {span.last}")
        rows = [daily_row(symbol, session, 100.0, source=self.name) for session in SESSIONS[: self.sessions]]
        return DAILY_BARS.conform(daily_frame(rows))

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        self._ask(f"actions of {symbol} up to {span.last}")
        return actions_frame((symbol, SESSIONS[1].day, "split", 2.0)).with_columns(source=pl.lit(self.name))

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure(f"{self.name} fails about {what}")


def chained(*sources: Source) -> ChainedMarketData:
    return ChainedMarketData(sources)


def test_the_first_source_answers_and_the_others_are_not_asked() -> None:
    first, second = Source("first"), Source("second")
    assert set(chained(first, second).bars("AAA", "1d", SPAN)["source"]) == {"first"}
    assert (first.asked, second.asked) == ([f"1d bars of AAA up to {SPAN.last}"], [])


@pytest.mark.parametrize("failure", PASSED_ON)
def test_a_source_that_cannot_deliver_passes_the_question_on(failure: type[DeskError]) -> None:
    frame = chained(Source("first", failure), Source("second"), Source("third")).bars("AAA", "1d", SPAN)
    assert set(frame["source"]) == {"second"}


@pytest.mark.parametrize("failure", [MalformedAnswer, TableMismatch, ConfigurationError, DeskError])
def test_what_is_broken_is_reported_and_not_replaced(failure: type[DeskError]) -> None:
    second = Source("second")
    with pytest.raises(failure, match="first fails"):
        chained(Source("first", failure), second).bars("AAA", "1d", SPAN)
    assert second.asked == []


def test_a_part_of_the_span_is_an_answer_and_is_not_filled_up() -> None:
    frame = chained(Source("first", sessions=2), Source("second")).bars("AAA", "1d", SPAN)
    assert frame.select("session", "source").rows() == [(SESSIONS[0].day, "first"), (SESSIONS[1].day, "first")]


def test_bars_and_actions_may_come_from_different_sources() -> None:
    class BarsOnly(Source):
        def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
            raise UnsupportedRequest(f"{self.name} has no action of {symbol} up to {span.last}")

    chain = chained(BarsOnly("ib"), Source("yfinance"))
    assert set(chain.bars("AAA", "1d", SPAN)["source"]) == {"ib"}
    assert set(chain.corporate_actions("AAA", SPAN)["source"]) == {"yfinance"}


@pytest.mark.parametrize(
    ("failures", "together"),
    [
        ([UnknownSymbol, UnknownSymbol], UnknownSymbol),
        ([UnknownSymbol, UnsupportedRequest], UnsupportedRequest),
        ([UnsupportedRequest, UnsupportedRequest], UnsupportedRequest),
        ([UnknownSymbol, EmptyAnswer], EmptyAnswer),
        ([EmptyAnswer, UnsupportedRequest], EmptyAnswer),
        ([EmptyAnswer, ProviderUnavailable], ProviderUnavailable),
        ([ProviderUnavailable, UnknownSymbol], ProviderUnavailable),
    ],
)
def test_when_all_fail_the_error_says_whether_asking_again_helps(
    failures: list[type[DeskError]], together: type[DeskError]
) -> None:
    sources = [Source(f"source {number}", failure) for number, failure in enumerate(failures)]
    with pytest.raises(together) as caught:
        chained(*sources).bars("AAA", "1d", SPAN)
    assert type(caught.value) is together


@given(st.lists(st.sampled_from(PASSED_ON), min_size=1, max_size=4))
def test_when_all_fail_every_source_is_listed_with_its_reason(failures: Sequence[type[DeskError]]) -> None:
    sources = [Source(f"source{number}", failure) for number, failure in enumerate(failures)]
    with pytest.raises(PASSED_ON) as caught:
        chained(*sources).bars("AAA", "1d", SPAN)
    for source in sources:
        assert f"{source.name}: {source.name} fails about 1d bars of AAA" in str(caught.value)
    assert str(SPAN.first) in str(caught.value)


def test_the_name_tells_the_order() -> None:
    assert chained(Source("yfinance"), Source("ib")).name == "yfinance, then ib"


def test_a_chain_needs_different_sources() -> None:
    with pytest.raises(ConfigurationError, match="none"):
        ChainedMarketData([])
    with pytest.raises(ConfigurationError, match="ib, ib"):
        chained(Source("ib"), Source("ib"))


def test_sources_can_be_left_out() -> None:
    chain = chained(Source("yfinance"), Source("files"), Source("ib"))
    rest = chain.without({"yfinance", "ib"})
    assert rest is not None
    assert rest.name == "files"
    assert chain.without({"yfinance", "files", "ib"}) is None


def test_collecting_through_a_chain_mixes_sources_by_symbol_only(tmp_path: Path) -> None:
    (tmp_path / "daily").mkdir()
    (tmp_path / "daily" / "ZZZ.csv").write_text("date,open,high,low,close,volume\n2013-02-28,1,2,1,2,100\n")
    chain = ChainedMarketData([EmbeddedMarketData(), FileMarketData(tmp_path)])
    span = Span(date(2013, 2, 27), date(2013, 2, 28))
    frame = collect_bars(chain, ["ZZZ", "IBM"], "1d", span).frame
    assert frame.select("symbol", "source").unique().sort("symbol").rows() == [("IBM", "embedded"), ("ZZZ", "files")]
    assert collect_actions(chain, ["ZZZ", "IBM"], span).frame.is_empty()


def market(provider: ProviderName, *fallbacks: ProviderName, cross_check: ProviderName | None = None) -> Market:
    return Market(
        provider=provider,
        fallbacks=fallbacks,
        cross_check=CrossCheck(provider=cross_check) if cross_check else None,
        files_path="anywhere",
        instruments=(Instrument(symbol="AAPL", sector="Test"),),
    )


def test_the_settings_make_a_chain_and_a_named_provider_stands_alone(tmp_path: Path) -> None:
    as_of = datetime(2014, 7, 3, 23, tzinfo=UTC)
    settings = market("embedded", "files", "ib")
    chain = sources_of(settings, as_of=as_of, cache=tmp_path, files_path=tmp_path)
    assert chain.name == "embedded, then files, then ib"
    assert sources_of(market("embedded"), as_of=as_of, cache=tmp_path).name == "embedded"
    assert sources_of(settings, provider="ib", as_of=as_of, cache=tmp_path, files_path=tmp_path).name == "ib"


def test_interactive_brokers_learns_splits_from_the_other_sources_of_the_settings(tmp_path: Path) -> None:
    as_of = datetime(2014, 7, 3, 23, tzinfo=UTC)
    knows = sources_of(market("ib", cross_check="files"), as_of=as_of, cache=tmp_path, files_path=tmp_path)
    with pytest.raises(UnknownSymbol, match="files has no file of AAPL"):
        knows.bars("AAPL", "1d", Span(date(2014, 6, 5), date(2014, 6, 6)))
    alone = sources_of(market("ib"), as_of=as_of, cache=tmp_path)
    with pytest.raises(UnsupportedRequest, match="does not say which"):
        alone.bars("AAPL", "1d", Span(date(2014, 6, 5), date(2014, 6, 6)))


def test_a_seed_of_the_run_goes_before_that_of_the_settings(tmp_path: Path) -> None:
    as_of = datetime(2014, 7, 3, 23, tzinfo=UTC)
    span = Span(date(2014, 6, 5), date(2014, 6, 6))

    def closes(seed: int | None) -> list[float]:
        source = sources_of(market("simulated"), seed=seed, as_of=as_of, cache=tmp_path)
        symbol = next(one for one in source.symbols())  # type: ignore[attr-defined]
        return list(source.bars(symbol, "1d", span)["close"])

    assert closes(None) == closes(7) != closes(8)
