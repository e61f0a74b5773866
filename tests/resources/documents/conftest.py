"""One web server for a test, and pauses that are only noted."""

from collections.abc import Iterator

import pytest

from resources.market_data.yahoo_wire import Patience
from tests.resources.documents.pages import Pages, serving

QUICK = Patience(attempts=3, timeout_s=0.5)


@pytest.fixture
def pages() -> Iterator[Pages]:
    with serving() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """Give `pauses.append` as `sleep`."""
    return []
