"""One Yahoo on this machine for a test, and a provider that talks to it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from resources.market_data.yahoo import YahooMarketData
from resources.market_data.yahoo_wire import Patience
from tests.resources.market_data import listings
from tests.resources.market_data.yahoo_server import LoopbackYahoo, running

Desk = Callable[..., YahooMarketData]


@pytest.fixture(scope="session")
def yahoo_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole run: yfinance keeps its data base open."""
    return tmp_path_factory.mktemp("yfinance") / "cache"


@pytest.fixture
def yahoo(tmp_path: Path) -> Iterator[LoopbackYahoo]:
    with running(listings.ALL, tmp_path) as server:
        yield server


@pytest.fixture
def desk(yahoo: LoopbackYahoo, yahoo_cache: Path) -> Desk:
    """Makes a provider as of an instant; `sleep` sees every pause."""
    from curl_cffi.requests import Session

    def made(
        as_of: datetime = listings.AS_OF,
        *,
        sleep: Callable[[float], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> YahooMarketData:
        session = Session(impersonate="chrome", verify=str(yahoo.authority), proxies={"https": yahoo.proxy})
        return YahooMarketData(
            as_of=as_of, cache=yahoo_cache, session=session, sleep=sleep, patience=patience or Patience(attempts=3)
        )

    return made
