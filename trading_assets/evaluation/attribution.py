"""Who and what a closed trade's P&L belongs to.

One rule for all voices: a voice gets the share v / (sum of |v| over all voices), where v is what it counted in the decision. For
personas v is weight times vote, the ensemble's own rule (profit times vote, `plans/ensemble.py`) scaled so that no trade is counted
twice. For analysts v is the log-odds that their last words counted in the thesis when the trade was opened, faded and damped
(`theses/arithmetic.py`). A voice against the trade gets a negative share: it earns when the trade loses. What the shares leave of
the trade is `unexplained`, so that the names of a dimension sum to the trade's P&L to the hundredth of a cent. Strategy, regime,
time of day, evidence, thesis and its author each get the whole trade.

A trade belongs to the decision that opened it; what additions and trims did to it is part of its P&L.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.ids import short_id
from trading_assets.core.money import usd
from trading_assets.evaluation.model import ATTRIBUTION, EVENT, UNEXPLAINED, Dimension
from trading_assets.theses.arithmetic import LOG_ODDS_MAX

PLACES = 6
_ROUNDING = 5e-6  # of a sum of rounded shares
_SLOT_LENGTH = 5
Row = Mapping[str, Any]
Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of the decision that opened a trade; `thesis` is its row of THESES at that slot."""

    plan: Row
    evidence: str
    thesis: Row | None
    weights: Mapping[str, float]


def attribution(
    trades: pl.DataFrame,
    plans: pl.DataFrame,
    votes: pl.DataFrame,
    theses: pl.DataFrame,
    evidence: pl.DataFrame,
    *,
    book: str,
) -> pl.DataFrame:
    """Rows of ATTRIBUTION for every trade.

    Args:
        trades: Rows of TRADES; those to be attributed.
        plans: Rows of TRADE_PLANS, at least those that opened the trades; a trade without its plan is unexplained but for its own
            strategy and regime.
        votes: Rows of VOTES of the sessions that opened the trades.
        theses: Rows of THESES of those sessions.
        evidence: Rows of DECISION_EVIDENCE of those sessions; a decision without a row is unknown.
        book: The lane's name: with the plan's id it makes the trade's.
    """
    if trades.is_empty():
        return ATTRIBUTION.empty()
    openings = _openings(set(trades["trade_id"]), plans, votes, theses, evidence, book)
    rows = (row for trade in trades.rows(named=True) for row in _rows(trade, openings.get(trade["trade_id"])))
    return ATTRIBUTION.frame(list(rows))


def opened_sessions(trades: pl.DataFrame) -> tuple[date, date] | None:
    """The first and the last session that a decision behind the trades can be from; None without a trade.

    An entry trades in the session that decided it.
    """
    days = [*trades["opened"], *trades["session"]]
    return (min(days), max(days)) if days else None


def voice_shares(voices: Mapping[str, float], *, beside: float = 0.0) -> dict[str, float]:
    """What each voice gets of a trade: v / (|beside| + sum of |v|), rounded to 6 places; what is left is `unexplained`.

    Args:
        voices: What each counted; a voice of nothing gets nothing.
        beside: What counted besides and belongs to nobody.
    """
    total = abs(beside) + math.fsum(abs(counted) for counted in voices.values())
    if not (math.isfinite(total) and total > 0):
        return {UNEXPLAINED: 1.0}
    shares = {name: round(counted / total, PLACES) for name, counted in sorted(voices.items()) if counted}
    rest = round(1.0 - math.fsum(shares.values()), PLACES)
    return {**shares, UNEXPLAINED: rest} if abs(rest) > _ROUNDING else shares


def split_pnl(pnl: Decimal, shares: Shares) -> dict[str, Decimal]:
    """P&L by share, to four places; rounding goes to what is unexplained, or else to the largest share."""
    parts = {name: usd(pnl * Decimal(str(share))) for name, share in shares.items()}
    taker = UNEXPLAINED if UNEXPLAINED in shares else max(shares, key=lambda name: (abs(shares[name]), name))
    parts[taker] += pnl - sum(parts.values(), Decimal(0))
    return parts


def time_of_day(slot: str) -> str:
    """A slot's label as a name: scheduled ones as they are, those that an event made all under one."""
    return slot if len(slot) == _SLOT_LENGTH else EVENT


def _rows(trade: Row, opening: Opening | None) -> Iterator[dict[str, Any]]:
    for dimension, shares in _dimensions(trade, opening):
        for name, pnl in split_pnl(trade["pnl"], shares).items():
            yield {
                "session": trade["session"],
                "trade_id": trade["trade_id"],
                "symbol": trade["symbol"],
                "dimension": dimension,
                "name": name,
                "share": shares[name],
                "pnl": pnl,
                "knowable_at": trade["knowable_at"],
            }


def _dimensions(trade: Row, opening: Opening | None) -> Iterator[tuple[Dimension, Shares]]:
    yield "strategy", {trade["strategy"]: 1.0}
    yield "regime", {trade["regime"]: 1.0}
    yield "time_of_day", {time_of_day(opening.plan["slot"]) if opening else UNEXPLAINED: 1.0}
    yield "evidence", {opening.evidence if opening else "unknown": 1.0}
    thesis = opening.thesis if opening else None
    yield "thesis", {_thesis_name(thesis) if thesis else UNEXPLAINED: 1.0}
    yield "author", {thesis["author"] if thesis else UNEXPLAINED: 1.0}
    yield "persona", voice_shares(_persona_voices(opening)) if opening else {UNEXPLAINED: 1.0}
    yield "analyst", _analyst_shares(opening.plan, thesis) if opening and thesis else {UNEXPLAINED: 1.0}


def _persona_voices(opening: Opening) -> dict[str, float]:
    """Weight times vote of who voted on the entry; nobody where it is not known what one of the votes counted."""
    said: dict[str, float] = json.loads(opening.plan["votes"])
    known = said.keys() <= opening.weights.keys()
    return {name: opening.weights[name] * vote for name, vote in said.items()} if known else {}


def _analyst_shares(plan: Row, thesis: Row) -> dict[str, float]:
    """By log-odds for the trade; what the thesis believed beyond its sources (its prior, or the bound) belongs to nobody."""
    sign = 1.0 if plan["side"] == thesis["direction"] else -1.0
    counts = {each["source"]: sign * each["counts"] for each in json.loads(thesis["contributions"])}
    summed = math.fsum(counts.values())
    held = max(-LOG_ODDS_MAX, min(LOG_ODDS_MAX, summed))
    believed = sign * _log_odds(thesis["confidence"])
    # A confidence has 6 places: near 0 and 1 its log-odds are coarse.
    beside = believed - held
    return voice_shares(counts, beside=beside if abs(beside) > 1e-3 else 0.0)


def _log_odds(confidence: float) -> float:
    inside = min(1 - 1e-6, max(1e-6, confidence))
    return math.log(inside / (1 - inside))


def _thesis_name(thesis: Row) -> str:
    return f"{thesis['symbol']} {thesis['direction']} {thesis['thesis_id']}"


def _openings(
    wanted: set[str],
    plans: pl.DataFrame,
    votes: pl.DataFrame,
    theses: pl.DataFrame,
    evidence: pl.DataFrame,
    book: str,
) -> Mapping[str, Opening]:
    entries = plans.filter(pl.col("action") == "enter").rows(named=True)
    known = {id_: plan for plan in entries if (id_ := short_id(book, plan["plan_id"])) in wanted}
    labels = {(row["session"], row["slot"]): row["evidence"] for row in evidence.rows(named=True)}
    stood = {(row["session"], row["slot"], row["thesis_id"]): row for row in theses.rows(named=True)}
    weights = _weights(votes)
    return {
        id_: Opening(
            plan=plan,
            evidence=labels.get((plan["session"], plan["slot"]), "unknown"),
            thesis=stood.get((plan["session"], plan["slot"], plan["thesis_id"])),
            weights=weights.get(_candidate(plan), {}),
        )
        for id_, plan in known.items()
    }


def _weights(votes: pl.DataFrame) -> Mapping[tuple[Any, ...], Mapping[str, float]]:
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in votes.rows(named=True):
        found.setdefault(_candidate(row), {})[row["persona"]] = row["weight"]
    return found


def _candidate(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("session", "slot", "strategy", "symbol", "side"))


def shares_by(rows: pl.DataFrame, dimension: Dimension) -> Sequence[tuple[str, int, Decimal]]:
    """(name, trades, P&L) of a dimension, the largest P&L first; for reports."""
    grouped = (
        rows.filter(pl.col("dimension") == dimension)
        .group_by("name")
        .agg(pl.col("trade_id").n_unique().alias("trades"), pl.col("pnl").sum())
        .sort(["pnl", "name"], descending=[True, False])
    )
    return [(name, trades, usd(pnl)) for name, trades, pnl in grouped.select("name", "trades", "pnl").iter_rows()]
