"""The watch-list as an asset."""

from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from resources.desk import DeskResource
from trading_assets.catalog import SINGLE_RUN, at_last_session, key_of, spec, stored
from trading_assets.core.calendar import XNYS
from trading_assets.core.settings import config_folder
from trading_assets.features.model import INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.partitions import span_of
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.watchlist.model import WATCHLIST
from trading_assets.watchlist.rules import load_rules

if TYPE_CHECKING:
    import polars as pl

GROUP = "watchlist"
_FROM = tuple(key_of(table) for table in (DAILY_BARS, CORPORATE_ACTIONS, INDICATORS, REGIME_LABELS))
_SHOWN = ("rank", "symbol", "reference", "stop", "target", "p_target_bootstrap", "p_target_gbm", "selected", "reason")


@dg.multi_asset(
    specs=[spec(WATCHLIST, group=GROUP, kinds={"python", "numba", "parquet"}, deps=_FROM)],
    name="watchlist",
    backfill_policy=SINGLE_RUN,
)
def watchlist(context: dg.AssetExecutionContext, desk: DeskResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Screens and simulates the run's sessions; the last one's candidates are shown in the metadata."""
    from trading_assets.watchlist.facts import read_facts
    from trading_assets.watchlist.listing import watchlist as watchlist_of

    span, lake, rules = span_of(context.partition_keys), desk.lake(), load_rules(config_folder())
    facts = read_facts(lake, rules, span, as_of=XNYS.session(span.last).close)
    rows = watchlist_of(facts.bars, facts.actions, facts.panel, facts.labels, rules, span=span)
    at_last_session(context, key_of(WATCHLIST), {"candidates": _shown(rows, span.last)})
    extra = {"selected": int(rows["selected"].sum()), "refused": int((~rows["selected"]).sum())}
    return stored(WATCHLIST, lake.write(WATCHLIST, rows, span), extra=extra)


def _shown(rows: "pl.DataFrame", day: date) -> dg.MetadataValue:
    newest = rows.filter(rows["session"] == day).sort("rank", "symbol", nulls_last=True).head(20)
    records = [
        {name: round(v, 4) if isinstance(v, float) else v if v is not None else "" for name, v in row.items()}
        for row in newest.select(_SHOWN).rows(named=True)
    ]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in _SHOWN])
    return dg.MetadataValue.table([dg.TableRecord(record) for record in records], schema=schema)
