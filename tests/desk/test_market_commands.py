"""`desk bars`, `desk documents` and `desk ingest` beyond daily bars: what they store, show and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from resources.desk import DeskResource
from tests.orchestration.homes import AFTER_EVERYTHING, desk, done
from trading_assets.core.settings import Home
from trading_assets.features.model import INTRADAY_FEATURES
from trading_assets.market.documents.model import NEWS
from trading_assets.market.model import INTRADAY_BARS, QUOTE_BARS


def rows(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done("bars", *words, "--json").out)
    return found


def test_bars_are_adjusted_as_of_the_last_session_shown(home: Home) -> None:
    """AAPL split two for one on 2005-02-28: bars before it change only when the split is inside what is shown."""
    done("ingest", "--provider", "embedded", "--symbols", "AAPL", "--from", "2005-02-22", "--to", "2005-03-02")
    traded = {row["session"]: row for row in rows("AAPL", "--adjusted", "none")}
    later = {row["session"]: row for row in rows("AAPL", "--adjusted", "splits")}
    before = {row["session"]: row for row in rows("AAPL", "--adjusted", "splits", "--to", "2005-02-25")}
    assert later["2005-02-25"]["close"] == traded["2005-02-25"]["close"] / 2
    assert later["2005-02-25"]["volume"] == traded["2005-02-25"]["volume"] * 2
    assert later["2005-03-02"] == traded["2005-03-02"]
    assert before["2005-02-25"] == traded["2005-02-25"]


def test_a_dividend_lowers_the_prices_before_it_when_all_actions_count(home: Home) -> None:
    done("ingest", "--provider", "embedded", "--symbols", "IBM", "--from", "2012-02-01", "--to", "2012-02-10")
    traded, paid = rows("IBM", "--adjusted", "none"), rows("IBM", "--adjusted", "all")
    ratios = [whole["close"] / part["close"] for whole, part in zip(traded, paid, strict=True)]
    assert ratios[-1] == 1.0
    assert ratios[0] == pytest.approx(1 / (1 - 0.75 / 193.35), rel=1e-12)


def test_bars_without_json_are_a_table(home: Home) -> None:
    done("ingest", "--provider", "embedded", "--symbols", "IBM", "--from", "2012-02-09", "--to", "2012-02-10")
    said = done("bars", "IBM")
    assert "193.13" in said.out
    assert "adjusted for: splits" in said.out


def test_bars_that_are_not_stored_name_the_next_command(home: Home) -> None:
    said = desk("bars", "ZZZ")
    assert said.code == 2
    assert "the lake has no bar of ZZZ" in said.err
    assert "desk ingest" in said.err


def test_documents_are_fetched_for_a_range_and_say_so(home: Home) -> None:
    said = json.loads(done("documents", "--from", "2012-05-14", "--to", "2012-05-22", "--json").out)
    assert (said["job"], said["first"], said["last"]) == ("ingest_documents", "2012-05-14", "2012-05-22")
    stored = DeskResource().lake().read(NEWS, as_of=AFTER_EVERYTHING)
    assert "FB" in set(stored["symbol"]), "Facebook went public on 2012-05-18"


def test_simulated_minutes_come_with_quotes_and_features_and_without_naming_a_symbol(home: Home) -> None:
    words = (
        "--provider",
        "simulated",
        "--seed",
        "7",
        "--frequency",
        "1m",
        "--from",
        "2024-03-28",
        "--to",
        "2024-03-28",
    )
    done("ingest", *words)
    lake = DeskResource().lake()
    bars, quotes, features = (
        lake.read(table, as_of=AFTER_EVERYTHING) for table in (INTRADAY_BARS, QUOTE_BARS, INTRADAY_FEATURES)
    )
    assert bars["symbol"].n_unique() == 20
    assert features.height == bars.height
    assert features["spread_bp"].null_count() < features.height / 100
    assert quotes["source"].unique().to_list() == ["simulated"]


def test_simulated_prices_are_refused_in_a_home_of_real_ones(home: Home) -> None:
    done("ingest", "--provider", "embedded", "--symbols", "IBM", "--from", "2012-02-09", "--to", "2012-02-09")
    said = desk("ingest", "--provider", "simulated", "--from", "2012-02-10", "--to", "2012-02-10")
    assert said.code == 1
    assert "simulated and real prices do not go into one lake" in said.err
    assert "DESK_HOME=" in said.err


def test_the_same_seed_brings_the_same_bars_into_two_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        monkeypatch.setenv("DESK_HOME", str(tmp_path / name))
        done("ingest", "--provider", "simulated", "--seed", seed, "--from", "2024-03-27", "--to", "2024-03-28")
        told.append(rows("SIM003"))
    assert told[0] == told[1] != told[2]
