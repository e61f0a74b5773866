"""How a declared table becomes a Dagster asset: key, schema, owner, and the metadata of what was stored."""

from collections.abc import Mapping, Sequence
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
