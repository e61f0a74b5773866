"""The check on the watch-list: complete, in order, and what the same facts and seed give again."""

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import bullets, check_result, key_of
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import config_folder
from trading_assets.partitions import SESSIONS, span_of
from trading_assets.watchlist.model import WATCHLIST
from trading_assets.watchlist.rules import load_rules


@dg.asset_check(
    asset=key_of(WATCHLIST),
    name="odds_hold",
    description="One row per symbol, probabilities in 0 to 1 that sum to 1, stop < reference < target; sampled sessions are made "
    "again to the last bit, and a sampled row agrees with a simulation in plain numpy within five standard errors.",
    blocking=True,
    partitions_def=SESSIONS,
)
def watchlist_odds_hold(context: dg.AssetCheckExecutionContext, desk: DeskResource) -> dg.AssetCheckResult:
    """Compares the run's stored rows with the facts that they were made from."""
    from trading_assets.watchlist.audit import problems
    from trading_assets.watchlist.facts import read_facts

    span, lake, rules = span_of(list(context.partition_keys)), desk.lake(), load_rules(config_folder())
    as_of = XNYS.session(span.last).close
    stored = lake.read(WATCHLIST, as_of=as_of, first=span.first, last=span.last)
    found = problems(stored, read_facts(lake, rules, span, as_of=as_of), rules, span=span)
    selected = int(stored["selected"].sum())
    otherwise = f"{stored.height} rows hold"
    return check_result(found, otherwise=otherwise, rows=stored.height, selected=selected, problems=bullets(found))
