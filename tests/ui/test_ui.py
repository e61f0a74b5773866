"""The Dagster UI in a real browser: the graph, an asset and the automation page, served on loopback only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.ui.serving import CHROMIUM, DRIVER, browsing, served, shown

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server of our own on an empty home."""
    with served(tmp_path_factory.mktemp("ui")) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browsing(tmp_path_factory.mktemp("profile")) as chrome:
        yield chrome


def test_the_graph_shows_every_group(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/asset-groups")
    shown(browser, "facts_1_market", "facts_2_features", "facts_3_regimes", "desk_2_decisions", "backtest_3_book")


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("backtest_1_opinions", ("analyst_briefs", "stances")),
        ("backtest_2_decisions", ("trade_plans", "verdicts", "orders")),
        ("backtest_6_learning", ("improvement_report",)),
    ],
)
def test_a_group_shows_its_part_of_the_day(
    address: str, browser: webdriver.Chrome, group: str, words: tuple[str, ...]
) -> None:
    browser.get(f"{address}/locations/desk/asset-groups/{group}/list")
    shown(browser, *words)


def test_an_asset_page_tells_what_a_row_is_and_which_columns_it_has(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/assets/daily_bars")
    shown(browser, "One symbol in one session, prices as traded", "Highest price, USD, as traded.", "knowable_at")
    shown(browser, "When it is red:", "desk ingest")


def test_schedules_and_sensors_are_there_and_switched_off(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/automation")
    shown(browser, "decision_slots", "premarket_schedule", "postclose_schedule")
    switches = browser.find_elements(
        By.CSS_SELECTOR, "input[type='checkbox'][aria-checked='true'], input:checked[role='switch']"
    )
    assert switches == []


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("/asset-groups", "backtest"),
        ("/assets/regime_labels", "Ticker, or MARKET for the equal-weighted universe."),
        ("/assets/daily_bars?view=checks", "Great Expectations suite"),
        ("/assets/backtest/daily_metrics?view=partitions", "1990-01-02"),
        ("/jobs", "ingest_intraday"),
        ("/runs", "Launched by"),
    ],
)
def test_a_page_opens_without_a_script_error(address: str, browser: webdriver.Chrome, page: str, word: str) -> None:
    _console(browser)
    browser.get(f"{address}{page}")
    shown(browser, word)
    assert [entry for entry in _console(browser) if entry["level"] == "SEVERE"] == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the table of listening sockets is Linux's")
def test_the_server_listens_on_loopback_only(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A"]
    mine = [local for local in listening if local.endswith(f":{port:04X}")]
    assert mine == [f"0100007F:{port:04X}"]


def _console(browser: webdriver.Chrome) -> list[dict[str, str]]:
    """What the page wrote to the browser's console since the last call."""
    get_log: Any = browser.get_log
    entries: list[dict[str, str]] = get_log("browser")
    return entries
