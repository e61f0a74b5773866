"""`desk theses`: what a book believes, why, how it came to it, and how good its beliefs were."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from desk.output import say, table
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.tables import Table
from trading_assets.theses.model import THESES, THESIS_EDGES, THESIS_EVENTS, THESIS_SCORES

if TYPE_CHECKING:
    import polars as pl

_TOLD_MIN = 0.005
_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_SHOWN = 40
Row = dict[str, Any]


def run_theses(
    lane: str, session: date | None, symbol: str, *, history: bool, graph: Path | None = None, as_json: bool
) -> None:
    """Shows the theses after the newest slot of a book, or after the last slot of one session, and the calibration up to then.

    Args:
        lane: The book.
        session: The session whose last slot is shown; None for the newest one that has any thesis.
        symbol: Only theses on it; empty for all.
        history: How confidence went, and all events, instead of the slot's own.
        graph: A .png file to draw the live theses into.
        as_json: One JSON object on stdout instead of tables.
    """
    if graph is not None and graph.suffix.lower() != ".png":
        raise PermanentFailure("the graph is drawn as a PNG file", value=graph, hint=f"--graph {graph.stem}.png")
    prepare_home()
    desk = DeskResource()
    theses = _read(desk, THESES, lane, session)
    slot = _newest_slot(theses, lane, session)
    rows = _rows_of(theses, slot)
    shown = _on(symbol.upper(), rows, slot)
    told = {"lane": lane, **slot, "theses": [_plain(row) for row in shown if row["status"] != "ended"]}
    told["ended"] = [_plain(row) for row in shown if row["status"] == "ended"]
    told["edges"] = _edges(desk, lane, slot, rows, shown)
    told["events"] = _events(desk, lane, slot, shown, history=history)
    if history:
        told["history"] = _history(theses, [row["thesis_id"] for row in shown])
    told["calibration"] = _calibration(_read(desk, THESIS_SCORES, lane, slot["session"]))
    if graph is not None:
        told["graph"] = _drawn(told, graph)
    if as_json:
        typer.echo(json.dumps(told, default=str))
        return
    _show(told)


def _read(desk: DeskResource, of: Table, lane: str, last: date | None) -> "pl.DataFrame":
    return desk.lake().read(of, as_of=desk.clock().now(), lane=lane, last=last)


def _newest_slot(theses: "pl.DataFrame", lane: str, session: date | None) -> dict[str, Any]:
    hint = "desk backtest --from D --to D" if lane == "backtest" else "desk decide, at a slot that is due"
    if theses.is_empty():
        until = f" up to {session}" if session else ""
        raise DataNotReady(f"no thesis was ever formed in book {lane}{until}", hint=hint)
    day, label = max(theses.select("session", "slot").unique().rows())
    if session is not None and day != session:
        hint = f"desk theses --lane {lane} --session {day}"
        raise DataNotReady(f"book {lane} had no thesis in that session", value=session, hint=hint)
    return {"session": day, "slot": label}


def _rows_of(theses: "pl.DataFrame", slot: Mapping[str, Any]) -> list[Row]:
    import polars as pl

    here = (pl.col("session") == slot["session"]) & (pl.col("slot") == slot["slot"])
    return theses.filter(here).sort("symbol", "direction", "thesis_id").rows(named=True)


def _on(symbol: str, rows: Sequence[Row], slot: Mapping[str, Any]) -> list[Row]:
    """The rows on a symbol; all of them for none."""
    found = [row for row in rows if symbol in {"", row["symbol"]}]
    if not found:
        bound = ", ".join(sorted({row["symbol"] for row in rows}))
        what = f"there is no thesis on {symbol} in slot {slot['slot']} of {slot['session']}"
        raise PermanentFailure(what, value=symbol, bound=bound)
    return found


def _edges(
    desk: DeskResource, lane: str, slot: Mapping[str, Any], rows: Sequence[Row], shown: Sequence[Row]
) -> list[Row]:
    """The relations of the theses shown, with the names of both ends."""
    names = {row["thesis_id"]: _name(row) for row in rows}
    ids = {row["thesis_id"] for row in shown}
    stored = _read(desk, THESIS_EDGES, lane, slot["session"]).drop("knowable_at").rows(named=True)
    here = [row for row in stored if (row["session"], row["slot"]) == (slot["session"], slot["slot"])]
    return [
        {**row, "source_name": names.get(row["source"], ""), "target_name": names.get(row["target"], "")}
        for row in here
        if ids & {row["source"], row["target"]}
    ]


def _events(
    desk: DeskResource, lane: str, slot: Mapping[str, Any], shown: Sequence[Row], *, history: bool
) -> list[Row]:
    """The slot's events of the theses shown; with history, all that ever happened to them."""
    ids = {row["thesis_id"] for row in shown}
    stored = _read(desk, THESIS_EVENTS, lane, slot["session"]).drop("knowable_at").rows(named=True)
    now = (slot["session"], slot["slot"])
    return [row for row in stored if row["thesis_id"] in ids and (history or (row["session"], row["slot"]) == now)]


def _plain(row: Row) -> Row:
    """A row of THESES with its contributions as a list."""
    return {**row, "contributions": json.loads(row["contributions"])}


def _history(theses: "pl.DataFrame", ids: Sequence[str]) -> list[Row]:
    import polars as pl

    words = ("thesis_id", "session", "slot", "symbol", "direction", "confidence", "status")
    return theses.filter(pl.col("thesis_id").is_in(ids)).select(words).rows(named=True)


def _calibration(scores: "pl.DataFrame") -> dict[str, list[Row]]:
    from trading_assets.theses.scoring import calibration

    return {f"by_{by}": [asdict(group) for group in calibration(scores, by=by)] for by in ("source", "regime")}


def _drawn(told: Mapping[str, Any], path: Path) -> Path:
    from trading_assets.theses.picture import Node, draw_graph
    from trading_assets.theses.rows import edges_from_rows

    nodes = [
        Node(row["thesis_id"], row["symbol"], row["direction"], row["confidence"], row["status"])
        for row in told["theses"]
    ]
    live = {node.id for node in nodes}
    edges = [e for e in told["edges"] if e["source"] in live and (e["kind"] == "ordered_as" or e["target"] in live)]
    title = f"Theses of book {told['lane']} after slot {told['slot']} of {told['session']}"
    try:
        path.write_bytes(draw_graph(nodes, edges_from_rows(edges), title=title))
    except OSError as failure:
        raise PermanentFailure(f"the graph cannot be written: {failure.strerror}", value=path) from failure
    return path.resolve()


def _show(told: Mapping[str, Any]) -> None:
    heads = (
        "thesis",
        "confidence",
        "status",
        "horizon",
        "formed",
        "expires",
        "reference",
        "target",
        "wrong beyond",
    )
    title = f"Theses of book {told['lane']} after slot {told['slot']} of {told['session']}"
    table(title, heads, [_thesis_line(row) for row in told["theses"]])
    for row in told["theses"]:
        typer.echo(f"{_name(row):<14} {_why(row['contributions'])}")
    if told["edges"]:
        ends = ("relation", "from", "to", "weight", "since")
        table("How they stand to each other", ends, [_edge_line(row) for row in told["edges"]])
    for row in told["theses"] if "history" in told else ():
        typer.echo(f"{_name(row):<14} {_spark(told['history'], row['thesis_id'])}")
    for event in told["events"]:
        typer.echo(
            f"{event['session']} {event['slot']}  {event['kind']:<12} {event['confidence']:.2f}  {event['sentence']}"
        )
    _show_calibration(told["calibration"])
    if "graph" in told:
        say(f"drawn into {told['graph']}")


def _thesis_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    confidence = f"{row['confidence']:.2f} ({row['confidence_formed']:.2f})"
    days = (str(row["formed"]), str(row["expires"]))
    prices = (f"{row[name]:.2f}" for name in ("reference", "target", "invalidation"))
    return (_name(row), confidence, row["status"], row["horizon"], *days, *prices)


def _why(contributions: Sequence[Mapping[str, Any]]) -> str:
    """Who counts how much now, in log-odds, the loudest first."""
    loudest = sorted(contributions, key=lambda said: (-abs(said["counts"]), said["source"]))
    words = [f"{said['source']} {said['counts']:+.2f}" for said in loudest if abs(said["counts"]) >= _TOLD_MIN]
    return ", ".join(words) or "nothing that counts"


def _edge_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    ends = (row["source_name"] or row["source"], row["target_name"] or row["target"])
    return (row["kind"].replace("_", " "), *ends, f"{row['weight']:.2f}", str(row["since"]))


def _spark(history: Sequence[Mapping[str, Any]], thesis_id: str) -> str:
    """Confidence slot by slot, 0 at the bottom and 1 at the top, with the first and the newest value."""
    said = [row["confidence"] for row in history if row["thesis_id"] == thesis_id]
    line = "".join(_SPARKS[min(len(_SPARKS) - 1, int(value * len(_SPARKS)))] for value in said[-_SPARKS_SHOWN:])
    return f"{said[0]:.2f} {line} {said[-1]:.2f}"


def _show_calibration(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for by, rows in groups.items():
        if rows:
            lines = [
                (row["group"], str(row["n"]), *(f"{row[name]:.3f}" for name in ("said", "true", "brier")))
                for row in rows
            ]
            title = f"Calibration {by.replace('_', ' ')}: what was said, what came true"
            table(title, (by.removeprefix("by_"), "theses", "said", "true", "Brier"), lines)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['symbol']} {row['direction']}"
