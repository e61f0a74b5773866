"""`desk regimes`: what is stored, told in tables, one JSON object and three pictures; and the scores on a simulated market."""

import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from desk.regimes import run_regimes, run_score
from resources.desk import DeskResource
from tests.features.frames import embedded
from tests.orchestration.homes import Said, living_in
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.settings import Home
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import MARKET, REGIME_LABELS, REGIME_OPINIONS
from trading_assets.regimes.rules import REGIMES, regime_labels

STORED = Span(date(2011, 6, 1), date(2012, 12, 31))
LABELLED = Span(date(2012, 7, 2), date(2012, 12, 31))


@pytest.fixture
def labelled(home: Home) -> Iterator[Home]:
    """A home with real bars and the labels of half a year."""
    with living_in(home.root, clock="2012-12-31T17:00:00-05:00") as place:
        lake, inside = DeskResource().lake(), pl.col("session").is_between(STORED.first, STORED.last)
        bars, actions = (frame.filter(inside) for frame in embedded())
        lake.write(DAILY_BARS, bars, STORED)
        lake.write(CORPORATE_ACTIONS, actions, STORED)
        lake.write(REGIME_LABELS, regime_labels(bars, actions, span=LABELLED), LABELLED)
        yield place


def said(**asked: Any) -> Said:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        run_regimes(asked.pop("symbol", ""), **asked)
    return Said(0, out.getvalue(), err.getvalue())


def told(**asked: Any) -> dict[str, Any]:
    text = said(as_json=True, **asked).out
    assert text.count("\n") == 1
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def stored() -> pl.DataFrame:
    return DeskResource().lake().read(REGIME_LABELS, as_of=XNYS.session(XNYS.last).close)


def test_the_newest_labels_are_those_of_the_lake_market_first(labelled: Home) -> None:
    rows = told()["newest"]
    newest = stored().filter(stored()["session"] == stored()["session"].max())
    assert rows[0]["symbol"] == MARKET
    assert {(row["symbol"], row["regime"], row["since"]) for row in rows} == {
        (row["symbol"], row["regime"], str(row["since"])) for row in newest.rows(named=True)
    }
    assert {row["session"] for row in rows} == {"2012-12-31"}


def test_history_covers_all_stored_sessions(labelled: Home) -> None:
    data, labels = told(), stored()
    assert data["sessions"] == labels["session"].n_unique()
    assert sum(row["sessions"] for row in data["persistence"]) == labels.height
    assert sum(row["count"] for row in data["transitions"]) == labels.height - labels["symbol"].n_unique()
    every = data["next_20_sessions"][-1]
    assert every["regime"] == "all"
    assert 0.05 < every["volatility_next_20"] < 0.6


def test_three_pictures_are_written_below_the_home(labelled: Home) -> None:
    paths = [Path(path) for path in told()["plots"]]
    assert [path.name for path in paths] == ["market.png", "aapl.png", "transitions.png"]
    for path in paths:
        assert path.parent == labelled.reports / "regimes"
        picture = np.asarray(Image.open(path).convert("RGB"))
        assert picture.std() > 10, "it is not blank"


def test_the_symbol_to_draw_can_be_chosen(labelled: Home) -> None:
    assert Path(told(symbol="MSFT")["plots"][1]).name == "msft.png"


def test_a_symbol_without_a_label_is_refused_with_those_that_have_one(labelled: Home) -> None:
    with pytest.raises(PermanentFailure, match=r"ZZZZ has no label.*AAPL"):
        said(symbol="ZZZZ", as_json=True)


def test_nothing_after_the_desks_clock_is_told(labelled: Home) -> None:
    with living_in(labelled.root, clock="2012-11-30T17:00:00-05:00"):
        assert told()["last"] == "2012-11-30"


def test_the_second_opinion_stands_beside_where_it_is_stored(labelled: Home) -> None:
    lake = DeskResource().lake()
    label = stored().filter(stored()["symbol"] == MARKET).row(-1, named=True)
    day = label["session"]
    row = {
        **{name: label[name] for name in ("symbol", "session", "knowable_at")},
        "model": "jump_model",
        "regime": "trending_down",
        "agrees": False,
        "fitted_through": XNYS.previous(day).day,
    }
    lake.write(REGIME_OPINIONS, REGIME_OPINIONS.frame([row]), Span(day, day))
    opinions = {row["symbol"]: row["jump_model"] for row in told()["newest"]}
    assert opinions[MARKET] == "trending_down"
    assert len(opinions) == 5


def test_without_json_there_are_tables_and_paths(labelled: Home) -> None:
    out = said(as_json=False).out
    for words in (
        "Regimes at the close of 2012-12-31",
        "How long regimes last",
        "What followed what",
        "transitions.png",
    ):
        assert words in out
    assert "MARKET" in out
    assert not out.startswith("{")


def test_a_home_without_labels_names_what_makes_them(home: Home) -> None:
    with pytest.raises(DataNotReady, match=r"no regime has been labelled.*desk backtest"):
        said(as_json=True)


# The score


def scored(seeds: int, *, as_json: bool) -> Said:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        run_score(seeds, as_json=as_json)
    return Said(0, out.getvalue(), err.getvalue())


@pytest.mark.slow
def test_the_score_is_one_line_of_json_with_every_method_in_it() -> None:
    answer = scored(1, as_json=True)
    assert answer.out.count("\n") == 1
    data = json.loads(answer.out)
    assert data["seeds"] == 1
    rows = {row["method"]: row for row in data["contenders"]}
    assert list(rows) == ["majority", "rules", "rules at once", "jump model", "HMM", "forest (ceiling)"]
    assert rows["majority"]["macro_f1"] < 0.2 < rows["rules"]["macro_f1"] < 0.9
    assert rows["rules at once"]["switches"] > rows["rules"]["switches"] > rows["jump model"]["switches"]
    assert set(rows["rules"]["f1"]) == set(REGIMES)
    assert {row["regime"] for row in data["next_20_sessions"]} == {*REGIMES, "all"}
    assert "simulated market 1 of 1" in answer.err


@pytest.mark.parametrize("seeds", [0, -1, 101])
def test_a_number_of_markets_that_makes_no_sense_is_refused(seeds: int) -> None:
    with pytest.raises(PermanentFailure, match=f"value: {seeds}.*1 to 100"):
        scored(seeds, as_json=True)
