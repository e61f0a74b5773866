"""The Dagster web server on a free port of loopback, and a browser without a window."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).parents[2]
PATIENCE_S = 180
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
    "--hide-scrollbars",
)


@contextmanager
def served(home: Path, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """The address of a web server on a home, stopped by its own pid."""
    (home / "dagster").mkdir(exist_ok=True)
    if not (home / "dagster" / "dagster.yaml").exists():
        shutil.copy(ROOT / "dagster.yaml", home / "dagster" / "dagster.yaml")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **(more or {}), "DESK_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield _answering(f"http://127.0.0.1:{port}", server, home / "server.log")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE_S)


@contextmanager
def browsing(profile: Path, *, width: int = 1600, height: int = 2400) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield chrome
    finally:
        chrome.quit()


def shown(browser: webdriver.Chrome, *words: str) -> None:
    """Waits until the page's text holds all words."""

    def missing(driver: webdriver.Chrome) -> list[str]:
        text = driver.find_element(By.TAG_NAME, "body").text
        return [word for word in words if word not in text]

    WebDriverWait(browser, PATIENCE_S).until(lambda driver: not missing(driver), message=f"not shown: {words}")


def _answering(address: str, server: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/server_info", timeout=2):
                return address
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the web server did not answer: {log.read_text()[-2000:]}")
