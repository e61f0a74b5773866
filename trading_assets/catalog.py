"""How a declared table becomes a Dagster asset: key, schema, owner, its place in the day, and the metadata of what was stored."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from trading_assets.core.ports import Written
from trading_assets.core.tables import Table
from trading_assets.partitions import SESSIONS

OWNERS = ["team:desk"]
_SHOWN = 20
SINGLE_RUN = dg.BackfillPolicy.single_run()
_COLUMN_TYPES = {
    "text": "text",
    "day": "date",
    "instant": "timestamp (UTC)",
    "number": "double",
    "count": "integer",
    "flag": "boolean",
    "usd": "decimal(18,4) USD",
}


def key_of(table: Table, lane: str | None = None) -> dg.AssetKey:
    """The asset key of a table; results carry their lane."""
    return dg.AssetKey([lane, table.name] if lane else [table.name])


def schema_of(table: Table) -> dg.TableSchema:
    """The table's columns for the UI."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                _COLUMN_TYPES[column.type],
                description=column.doc,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def spec(
    table: Table, *, group: str, kinds: set[str], deps: Sequence[Any] = (), lane: str | None = None
) -> dg.AssetSpec:
    """The asset spec of a table: one partition per session."""
    return dg.AssetSpec(
        key=key_of(table, lane),
        description=table.doc,
        group_name=group,
        kinds=kinds,
        owners=OWNERS,
        deps=list(deps),
        partitions_def=SESSIONS,
        metadata={"dagster/column_schema": schema_of(table)},
    )


def stored(
    table: Table, written: Written, *, lane: str | None = None, extra: Mapping[str, Any] | None = None
) -> dg.MaterializeResult[Any]:
    """The result of an asset whose rows are in the lake."""
    return dg.MaterializeResult(
        asset_key=key_of(table, lane),
        metadata={
            "rows": written.rows,
            "lake_file": dg.MetadataValue.path(written.version),
            "changed": written.changed,
            **(extra or {}),
        },
    )


def check_result(findings: Sequence[str], /, *, otherwise: str, **metadata: Any) -> dg.AssetCheckResult:
    """A check that fails when there is any finding: the first three are its description, `otherwise` is that of a pass."""
    return dg.AssetCheckResult(
        passed=not findings,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(findings[:3]) or otherwise,
        metadata=metadata,
    )


def bullets(sentences: Sequence[str]) -> dg.MarkdownMetadataValue:
    """The first twenty sentences as a list for the UI."""
    return dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in sentences[:_SHOWN]) or "none")


def at_last_session(context: dg.AssetExecutionContext, key: dg.AssetKey, metadata: Mapping[str, Any]) -> None:
    """Attaches metadata to the run's last partition only.

    Dagster copies what a result carries to each partition of a range: a picture would be stored five hundred times.
    """
    context.add_asset_metadata(dict(metadata), asset_key=key, partition_key=max(context.partition_keys))


# Where an asset stands in the day


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the day as the UI groups it; groups are shown in the order of their names.

    Args:
        made: When its assets are made, and by which job.
        red: What a person does when one of them failed.
        names: The assets of a lane that belong to it; empty for facts, which say their group themselves.
    """

    group: str
    made: str
    red: str
    names: frozenset[str] = frozenset()


_EVENING = "20 minutes after the close by `postclose`; what is missing then, before the open by `premarket`"
_FACTS: Mapping[str, Stage] = {
    "market": Stage(
        "facts_1_market",
        f"{_EVENING}; by hand with `desk ingest` and `desk documents`. Intraday bars and quotes: `ingest_intraday`",
        "read the sentence of its check: it names symbol, session and rule. Slots refuse a session whose bars did not pass. Mend "
        "the source, run `desk ingest` again",
    ),
    "features": Stage(
        "facts_2_features",
        _EVENING,
        "bars first: features follow them. A canary that fails means that two computations disagree; open nothing and look",
    ),
    "regimes": Stage(
        "facts_3_regimes", _EVENING, "features first; without labels the slots of the next session refuse to open"
    ),
    "watchlist": Stage("facts_4_watchlist", _EVENING, "features first; without a list no new symbol is looked at"),
    "weekly": Stage(
        "desk_7_weekly",
        "after the post-close of the run day (`weekly` in config/operations.yaml) by `weekly`",
        "run `desk run weekly` once the day's facts are there; a portfolio older than its interval opens nothing",
    ),
}
_DBT = ("attribution", "attribution_daily", "daily_metrics", "evidence_metrics", "execution_quality")
_STAGES = (
    Stage(
        "1_opinions",
        "from 08:30 New York until the open by `premarket`, once the facts of the session before are there",
        "the morning asks again every 15 minutes. Without opinions a slot decides by the rules' own view, and the journal says so",
        frozenset({"analyst_briefs", "narratives", "debates", "stances", "silences"}),
    ),
    Stage(
        "2_decisions",
        "at each decision slot, and at each look between slots, by `decide`; reviews hourly by `adapt`",
        "a failed decision is never repeated by itself. `desk journal` and the run's page say why; the next slot decides anew",
        frozenset(
            {
                *("theses", "thesis_edges", "thesis_events", "thesis_scores", "votes"),
                *("trade_plans", "verdicts", "orders", "reviews"),
            }
        ),
    ),
    Stage(
        "3_book",
        "20 minutes after the close by `postclose`; flatness one minute after the close by `flatness`",
        "`postclose` tries again 30 and 90 minutes later. Until it is green the book in the lake is that of the session before; "
        "the ledger is the truth. Flatness that is red halts the desk",
        frozenset({"fills", "account", "positions", "trades", "lessons", "flatness"}),
    ),
    Stage(
        "4_benchmarks",
        "after the book by `postclose`",
        "no decision reads them: trade on, and run `desk run postclose` after mending",
        frozenset({"benchmark", "benchmarks", "coin_lives", "benchmark_notes"}),
    ),
    Stage(
        "5_measures",
        "after book and benchmarks by `postclose`",
        "the failed check names the sum that does not hold; the report appears all the same. Mend, then `desk run postclose`",
        frozenset(
            {
                *("decision_evidence", "slippage", "attribution_shares", "metric_intervals"),
                *(*_DBT, "regime_metrics", "strategy_metrics", "trade_metrics"),
            }
        ),
    ),
    Stage(
        "6_learning",
        "after the measures by `postclose`; the report by `report`, the parameter study once a month by `evolve`",
        "no decision reads them: parameters stay as they are. `desk report` makes the report anew",
        frozenset(
            {
                *("strategy_standings", "experiment_results", "parameter_proposals", "parameter_study"),
                *("improvement_report", "week_in_review"),
            }
        ),
    ),
)
_BACKTEST, _WALKED = "backtest", "for a range of past sessions, in one run, by `backtest` (`desk backtest`)"
_SOURCES_SHOWN = 6


def presented(given: dg.AssetSpec) -> dg.AssetSpec:
    """The spec in its place in the day: its group, and a description that also says from what, when, and what to do when it is red.

    An asset of no stage stays as it is.
    """
    stage = _stage_of(given)
    if stage is None:
        return given
    lane = given.key.path[0] if len(given.key.path) > 1 else ""
    group = f"{lane}_{stage.group}" if lane else stage.group
    made = _WALKED if lane == _BACKTEST else stage.made
    story = [
        given.description or "",
        *_from(given),
        f"**Made** {made}.",
        f"**When it is red:** {stage.red}.",
    ]
    return given.replace_attributes(description="\n\n".join(story), group_name=group)


def groups_of(lanes: Sequence[str]) -> tuple[str, ...]:
    """Every group of the UI, in its order."""
    of_lanes = (f"{lane}_{stage.group}" for lane in lanes for stage in _STAGES)
    return tuple(sorted([*of_lanes, *(stage.group for stage in _FACTS.values())]))


def _stage_of(given: dg.AssetSpec) -> Stage | None:
    if len(given.key.path) == 1:
        return _FACTS.get(given.group_name or "")
    return next((stage for stage in _STAGES if given.key.path[-1] in stage.names), None)


def _from(given: dg.AssetSpec) -> Iterator[str]:
    names = [dep.asset_key.to_user_string() for dep in given.deps]
    if names:
        more = f" and {len(names) - _SOURCES_SHOWN} more" if len(names) > _SOURCES_SHOWN else ""
        yield f"**From** {', '.join(names[:_SOURCES_SHOWN])}{more}."
