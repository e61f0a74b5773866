"""What must hold of stored universes and pairs: the rules behind the blocking checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from trading_assets.core.calendar import Calendar, days_of
from trading_assets.core.ports import Span
from trading_assets.market.universe.config import Universe, Universes
from trading_assets.market.universe.listings import Listed, is_alive
from trading_assets.market.universe.periods import rebalanced_on

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """One sentence for each rule that does not hold; warnings fail nothing."""

    failures: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def sampled(span: Span, calendar: Calendar) -> tuple[date, ...]:
    """The sessions that are computed anew: the first, the middle and the last of the span."""
    sessions = days_of(calendar.sessions(span.first, span.last))
    return tuple(sorted({sessions[0], sessions[len(sessions) // 2], sessions[-1]}))


def judge_universes(
    rows: pl.DataFrame,
    config: Universes,
    instruments: Sequence[Listed],
    *,
    span: Span,
    calendar: Calendar,
    anew: Mapping[date, pl.DataFrame],
) -> Judgement:
    """Compares stored universes with their configuration, the lives of their members, and sessions computed anew.

    Args:
        rows: Stored rows of UNIVERSE of the span.
        config: The universes.
        instruments: Those of the settings.
        span: The sessions judged.
        calendar: The exchange's.
        anew: For sampled sessions, rows of UNIVERSE computed from facts read as of that session's close.
    """
    failures = _strangers(rows, config.universes) + _outlived(rows, ("symbol",), instruments)
    warnings: list[str] = []
    found = {
        (str(name), day): frame for (name, day), frame in rows.partition_by("universe", "session", as_dict=True).items()
    }
    for name, universe in sorted(config.universes.items()):
        for day in days_of(calendar.sessions(span.first, span.last)):
            held = found.get((name, day))
            if held is None:
                (failures if universe.required else warnings).append(f"universe {name} has no member on {day}")
            else:
                failures.extend(_wrong(name, universe, held, day, calendar))
    for day, frame in sorted(anew.items()):
        failures.extend(_differing(rows.filter(pl.col("session") == day), frame, day, "universe"))
    return Judgement(tuple(failures), tuple(warnings))


def judge_pairs(
    rows: pl.DataFrame, config: Universes, instruments: Sequence[Listed], *, anew: Mapping[date, pl.DataFrame]
) -> Judgement:
    """Compares stored pairs with their configuration, the lives of their members, and sessions computed anew.

    Args:
        rows: Stored rows of UNIVERSE_PAIRS.
        config: The universes and pairs.
        instruments: Those of the settings.
        anew: For sampled sessions, rows of UNIVERSE_PAIRS computed from facts read as of that session's close.
    """
    failures = _strangers(rows, config.pairs) + _outlived(rows, ("symbol_a", "symbol_b"), instruments)
    for name, pairs in sorted(config.pairs.items()):
        held = rows.filter(pl.col("universe") == name)
        weak = held.filter(
            (pl.col("p_value_adjusted") > pairs.p_value_max)
            | (pl.col("half_life_sessions") > pairs.half_life_sessions_max)
            | (pl.col("beta") <= 0)
        )
        failures.extend(
            f"pairs {name}: {_pair(row)} does not meet its own limits" for row in weak.iter_rows(named=True)
        )
        crowded = held.group_by("session").len().filter(pl.col("len") > pairs.pairs_max)
        failures.extend(f"pairs {name}: more than {pairs.pairs_max} on {day}" for day in crowded["session"].sort())
    for day, frame in sorted(anew.items()):
        failures.extend(_differing(rows.filter(pl.col("session") == day), frame, day, "pairs"))
    return Judgement(tuple(failures))


def _strangers(rows: pl.DataFrame, known: Mapping[str, object]) -> list[str]:
    names = sorted(set(rows["universe"].unique().to_list()) - set(known))
    return [f"{name} is not in config/universes.yaml" for name in names]


def _outlived(rows: pl.DataFrame, columns: Sequence[str], instruments: Sequence[Listed]) -> list[str]:
    """Members in sessions outside their lives."""
    lives = {instrument.symbol: instrument for instrument in instruments}
    outside: list[str] = []
    for column in columns:
        held = rows.filter(pl.col(column).is_in(list(lives))).select("session", column).unique().sort("session", column)
        outside.extend(
            f"{symbol} is a member on {day}, outside its life"
            for day, symbol in held.iter_rows()
            if not is_alive(lives[symbol], day)
        )
    return outside


def _wrong(name: str, universe: Universe, held: pl.DataFrame, day: date, calendar: Calendar) -> list[str]:
    """Counts out of bounds, and a membership carried from the wrong session."""
    wrong = []
    if held.height < universe.min_securities:
        wrong.append(f"universe {name} has {held.height} members on {day}, min_securities is {universe.min_securities}")
    if universe.max_securities is not None and held.height > universe.max_securities:
        wrong.append(f"universe {name} has {held.height} members on {day}, max_securities is {universe.max_securities}")
    due = rebalanced_on(day, universe.rebalance, calendar)
    if held["rebalanced_on"].unique().to_list() != [due]:
        wrong.append(f"universe {name} on {day} was not computed on {due}")
    return wrong


def _differing(stored: pl.DataFrame, anew: pl.DataFrame, day: date, what: str) -> list[str]:
    """Says that a session computed anew has other rows, and names some of them."""
    if stored.equals(anew):
        return []
    names = [name for name in ("universe", "symbol", "symbol_a", "symbol_b") if name in anew.columns]
    ours, theirs = set(stored.select(names).rows()), set(anew.select(names).rows())
    different = sorted("/".join(row) for row in ours ^ theirs)[:_NAMED]
    return [f"{what} of {day} computed anew differ: {', '.join(different) or 'the same members with other values'}"]


def _pair(row: Mapping[str, object]) -> str:
    return f"{row['symbol_a']}/{row['symbol_b']} on {row['session']}"
