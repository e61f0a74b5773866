"""In a market whose tied pairs are known, the gaps that qualify are theirs, and mostly close in the time that the odds speak of."""

from datetime import date
from math import nan

import polars as pl

from simulation.market import SimulatedMarket
from trading_assets.briefs.facts import Facts
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.ports import Span
from trading_assets.features.correlations import correlations
from trading_assets.plans.pairs import GAP_CLOSED, gaps

SEED = 7
KNOWN_FROM, SPAN = date(2006, 1, 3), Span(date(2010, 1, 4), date(2011, 12, 30))
WITHIN = 20


def _openings(rows: pl.DataFrame) -> dict[frozenset[str], list[date]]:
    """By pair, the sessions in which it qualifies, at least 20 sessions apart."""
    days = sorted(set(rows["session"]))
    found: dict[frozenset[str], list[date]] = {}
    for row in rows.filter(pl.col("gap_z").abs() > 2).rows(named=True):
        at = row["session"]
        for gap in gaps(Facts(row["knowable_at"].astimezone(NEW_YORK), at, {}, None, None, correlations=(row,))):
            opened = found.setdefault(frozenset((gap.long, gap.short)), [])
            if not opened or days.index(at) - days.index(opened[-1]) >= WITHIN:
                opened.append(at)
    return found


def test_gaps_that_qualify_belong_to_tied_pairs_and_mostly_close_within_twenty_sessions() -> None:
    market = SimulatedMarket(SEED)
    tied = {frozenset((pair.first, pair.second)) for pair in market.planted_pairs()}
    symbols = sorted({symbol for pair in tied for symbol in pair})
    life = Span(KNOWN_FROM, SPAN.last)
    bars = pl.concat([market.daily(symbol, life) for symbol in symbols])
    actions = pl.concat([market.corporate_actions(symbol, life) for symbol in symbols])
    rows = correlations(bars, actions, span=SPAN).sort("session", "symbol_a", "symbol_b")
    found = _openings(rows)
    opened = [(pair, day) for pair, days in found.items() for day in days]
    gap_of = {
        (frozenset((a, b)), day): z for a, b, day, z in rows.select("symbol_a", "symbol_b", "session", "gap_z").rows()
    }
    days = sorted(set(rows["session"]))

    def closes(pair: frozenset[str], day: date) -> bool:
        ahead = days[days.index(day) + 1 : days.index(day) + 1 + WITHIN]
        return any(abs(gap_of.get((pair, later), nan)) < GAP_CLOSED for later in ahead)

    assert len(opened) >= 20
    assert sum(pair in tied for pair, _ in opened) >= 0.9 * len(opened)
    assert sum(closes(pair, day) for pair, day in opened) >= 0.75 * len(opened)
