"""The Dagster UI in a real browser: the graph, an asset and the automation page, served on loopback only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,2400",
)

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server of our own on a free port, stopped by its own pid."""
    home = tmp_path_factory.mktemp("ui")
    (home / "dagster").mkdir()
    shutil.copy(ROOT / "dagster.yaml", home / "dagster" / "dagster.yaml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "DESK_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield _answering(f"http://127.0.0.1:{port}", server, home / "server.log")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield chrome
    chrome.quit()


def test_the_graph_shows_every_group(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/asset-groups")
    _shown(browser, "market", "features", "regimes", "desk", "backtest")


def test_a_lane_shows_its_assets_from_briefs_to_report(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/locations/desk/asset-groups/backtest/list")
    _shown(browser, "analyst_briefs", "trade_plans", "verdicts", "fills", "daily_metrics", "improvement_report")


def test_an_asset_page_tells_what_a_row_is_and_which_columns_it_has(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/assets/daily_bars")
    _shown(browser, "One symbol in one session, prices as traded", "Highest price, USD, as traded.", "knowable_at")


def test_schedules_and_sensors_are_there_and_switched_off(address: str, browser: webdriver.Chrome) -> None:
    browser.get(f"{address}/automation")
    _shown(browser, "decision_slots", "premarket_schedule", "postclose_schedule")
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
    _shown(browser, word)
    assert [entry for entry in _console(browser) if entry["level"] == "SEVERE"] == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the table of listening sockets is Linux's")
def test_the_server_listens_on_loopback_only(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A"]
    mine = [local for local in listening if local.endswith(f":{port:04X}")]
    assert mine == [f"0100007F:{port:04X}"]


def _answering(address: str, server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=2):
                return address
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the web server did not answer: {log.read_text()[-2000:]}")


def _console(browser: webdriver.Chrome) -> list[dict[str, str]]:
    """What the page wrote to the browser's console since the last call."""
    get_log: Any = browser.get_log
    entries: list[dict[str, str]] = get_log("browser")
    return entries


def _shown(browser: webdriver.Chrome, *words: str) -> None:
    """Waits until the page's text holds all words."""

    def missing(driver: webdriver.Chrome) -> list[str]:
        text = driver.find_element(By.TAG_NAME, "body").text
        return [word for word in words if word not in text]

    WebDriverWait(browser, PATIENCE_S).until(lambda driver: not missing(driver), message=f"not shown: {words}")
