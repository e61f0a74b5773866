"""`desk demo`: the whole chain on the embedded prices."""

import time
from datetime import date

from desk.backtest import walk_range
from desk.market import ingest_config
from desk.output import finish, say
from desk.runner import prepare_home, run_job
from desk.summary import show_summary
from resources.desk import BACKTEST
from trading_assets.core.ports import Span
from trading_assets.jobs import INGEST

HISTORY = Span(date(2007, 3, 1), date(2013, 2, 28))
WALK = Span(date(2011, 3, 1), date(2013, 2, 28))


def run_demo(*, as_json: bool) -> None:
    """Ingests six years, walks the last two, and shows the result with the paths that were written."""
    begun = time.monotonic()
    home = prepare_home()
    say(f"desk demo: AAPL, FB, GOOG, IBM, MSFT, {WALK.first} to {WALK.last}; everything is written below {home.root}")
    finish(run_job(INGEST, HISTORY, config=ingest_config("embedded"), label="ingest"))
    finish(walk_range(WALK, fresh=True, config=ingest_config("embedded")))
    show_summary(BACKTEST, as_json=as_json)
    say(
        f"done in {time.monotonic() - begun:.1f} s; `make ui` shows every step, `desk trace --last` what stands behind a fill"
    )
