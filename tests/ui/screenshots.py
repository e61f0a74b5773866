"""Pictures of the running UI for docs/images: `python -m tests.ui.screenshots HOME [--config FOLDER] [--walked HOME]`.

HOME is a desk that has lived a day, as `desk rehearse` leaves one; `--walked` one with a backtest over many sessions, for plots.
Each picture is cut to what it shows and reduced to 128 colours.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By

from tests.ui.serving import ROOT, browsing, served, shown

COLOURS = 128
BYTES_MAX = 250_000
SETTLE_S = 8.0
Step = Callable[[webdriver.Chrome], None]


@dataclass(frozen=True)
class Shot:
    """One picture: the page, the words that must be on it, what is clicked before, and its height in pixels."""

    name: str
    page: str
    words: tuple[str, ...]
    height: int
    clicks: tuple[str, ...] = ()
    width: int = 1400
    walked: bool = False


SHOTS = (
    Shot("ui-groups", "/asset-groups", ("desk_2_decisions", "facts_1_market"), 900, width=1500),
    Shot("ui-day", "/runs", ("desk/part", "Success"), 1000, width=1500),
    Shot("ui-timeline", "/overview/activity/timeline", ("decide", "premarket"), 620, clicks=("1hr",)),
    Shot("ui-decision", "/assets/desk/theses", ("A thesis as it stood", "When it is red:"), 1000),
    Shot("ui-checks", "/assets/desk/daily_metrics?view=checks", ("columns_hold",), 820),
    Shot("ui-report", "/assets/desk/improvement_report?view=events", ("2023",), 1500, clicks=("[Show Markdown]",)),
    Shot("ui-automation", "/automation", ("decision_slots", "postclose_schedule"), 900),
    Shot("ui-plots", "/assets/backtest/daily_metrics?view=plots", ("equity_usd",), 1000, walked=True),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes every picture that the homes at hand allow."""
    parser = argparse.ArgumentParser(description="Pictures of the running UI.")
    parser.add_argument("home", type=Path, help="a desk that has lived a day")
    parser.add_argument("--config", type=Path, help="its configuration")
    parser.add_argument("--walked", type=Path, help="a desk with a backtest over many sessions")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--only", nargs="*", default=[shot.name for shot in SHOTS], help="some of the pictures")
    options = parser.parse_args(arguments)
    if options.config:
        os.environ["DESK_CONFIG"] = str(options.config)
    wanted = [shot for shot in SHOTS if shot.name in options.only]
    lived, walked = [s for s in wanted if not s.walked], [s for s in wanted if s.walked and options.walked]
    for home, shots in ((options.home, lived), (options.walked, walked)):
        if shots:
            _take(home, shots, options.into)


def _take(home: Path, shots: Sequence[Shot], into: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as profile,
        served(home.resolve()) as address,
        browsing(Path(profile)) as browser,
    ):
        missing = [failed for shot in shots if (failed := _shot(browser, address, shot, into))]
    if missing:
        raise SystemExit("; ".join(missing))


def _shot(browser: webdriver.Chrome, address: str, shot: Shot, into: Path) -> str:
    """Takes one picture; what was missing on the page, or nothing."""
    browser.set_window_size(shot.width, shot.height)
    browser.get(f"{address}{shot.page}")
    try:
        shown(browser, *shot.words)
        for words in shot.clicks:
            _click(browser, words)
    except (TimeoutException, LookupError) as missing:
        return f"{shot.name}: {missing}"
    time.sleep(SETTLE_S)
    size = kept(browser.get_screenshot_as_png(), into / f"{shot.name}.png")
    print(f"{shot.name}: {size} bytes", flush=True)  # noqa: T201 - a script for a person
    return ""


def _click(browser: webdriver.Chrome, words: str) -> None:
    """Presses the first thing that says so."""
    time.sleep(SETTLE_S)
    for element in browser.find_elements(By.XPATH, f"//*[normalize-space(text())='{words}']"):
        try:
            browser.execute_script("arguments[0].click()", element)
        except StaleElementReferenceException:
            continue
        return
    raise LookupError(f"nothing on the page says {words}")


def kept(content: bytes, target: Path) -> int:
    """Writes the picture with few colours and returns its size; too large a picture is refused."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    small = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    if len(small.getvalue()) > BYTES_MAX:
        raise SystemExit(f"{target.name} has {len(small.getvalue())} bytes, at most {BYTES_MAX}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(small.getvalue())
    return len(small.getvalue())


if __name__ == "__main__":
    main()
