"""The second opinion on liquidity and correlations: textbook formulas over lists, and numpy's own functions."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.canary import (
    AGREEMENT,
    Expected,
    Row,
    disagreements,
    row_of,
    sampled,
    share_factor,
    share_factors,
)
from trading_assets.features.windows import Floats

ALL_PAIRS, PEERS = 30, 10
_BACK = 21
_MINUTE = timedelta(minutes=1)


def liquidity_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame, stored: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """LIQUIDITY against loops over 21 sessions.

    Args:
        bars: Rows of DAILY_BARS of the span and the 21 sessions before it.
        actions: Rows of CORPORATE_ACTIONS of the same sessions.
        quotes: Rows of QUOTE_BARS of the same sessions.
        stored: Rows of LIQUIDITY of the span.
        span: The sessions to sample from.
    """
    found: list[str] = []
    for bar in sampled(bars.filter(pl.col("session").is_between(span.first, span.last)), "liquidity", span):
        symbol, day = bar["symbol"], bar["session"]
        mine = {row["session"]: row for row in bars.filter(pl.col("symbol") == symbol).rows(named=True)}
        told = quotes.filter(pl.col("symbol") == symbol)
        row = row_of(stored, symbol=symbol, session=day)
        expected, basis = _liquidity(day, mine, actions, told)
        found += disagreements(f"{symbol} {day}", row, expected)
        if row and row["basis"] != basis:
            found.append(f"{symbol} {day}: basis is {row['basis']} and must be {basis}")
    return tuple(found)


def _liquidity(
    day: date, bars: Mapping[date, Row], actions: pl.DataFrame, quotes: pl.DataFrame
) -> tuple[dict[str, Expected], str]:
    days = [XNYS.previous(day, back).day for back in range(_BACK - 1, 0, -1)]
    quoted = _spread_by_quotes(quotes, day)
    basis = "daily_bars" if quoted is None else "quotes"
    past = [_spread_by_quotes(quotes, d) if basis == "quotes" else _corwin_schultz(d, bars, actions) for d in days]
    spread = quoted if quoted is not None else _corwin_schultz(day, bars, actions)
    usual = _middle(past)
    symbol = bars[day]["symbol"]
    volumes = [bars[d]["volume"] * share_factor(actions, symbol, d, day) for d in days if d in bars]
    usual_volume = _average(volumes)
    expected = {
        "spread_bp": Expected(spread, 1.0),
        "spread_norm_20": Expected(usual, 1.0),
        "spread_ratio": Expected(spread / usual if usual and spread is not None else None, 1.0),
        "depth_ratio": Expected(_depth(quotes, day) if basis == "quotes" else None),
        "amihud_20": Expected(_average([_impact(d, bars, actions) for d in [*days[1:], day]])),
        "participation": Expected(bars[day]["volume"] / usual_volume if usual_volume else None),
        "dollar_volume_20": Expected(
            _average([bars[d]["close"] * bars[d]["volume"] for d in [*days[1:], day] if d in bars])
        ),
    }
    return expected, basis


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) >= 10 else None


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if len(known) >= 10 else None


def _corwin_schultz(day: date, bars: Mapping[date, Row], actions: pl.DataFrame) -> float | None:
    before = bars.get(XNYS.previous(day).day)
    now = bars.get(day)
    if before is None or now is None:
        return None
    shares = share_factor(actions, now["symbol"], before["session"], day)
    high_1, low_1, close_1 = (before[name] / shares for name in ("high", "low", "close"))
    gap = max(now["low"] - close_1, 0.0) - max(close_1 - now["high"], 0.0)
    high_2, low_2 = now["high"] - gap, now["low"] - gap
    beta = math.log(high_1 / low_1) ** 2 + math.log(high_2 / low_2) ** 2
    gamma = math.log(max(high_1, high_2) / min(low_1, low_2)) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
    spread: float = 2e4 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))
    return max(0.0, spread)


def _impact(day: date, bars: Mapping[date, Row], actions: pl.DataFrame) -> float | None:
    before, now = bars.get(XNYS.previous(day).day), bars.get(day)
    if before is None or now is None or not now["volume"] > 0:
        return None
    close = before["close"] / share_factor(actions, now["symbol"], before["session"], day)
    return float(1e6 * abs(now["close"] / close - 1) / (now["close"] * now["volume"]))


def _sound(quotes: pl.DataFrame, day: date) -> list[Row]:
    session = XNYS.session(day)
    inside = (pl.col("session") == day) & (pl.col("knowable_at") <= session.close)
    rows = quotes.filter(inside).sort("start").rows(named=True)
    return [q for q in rows if math.isfinite(q["bid"] + q["ask"]) and 0 < q["bid"] <= q["ask"]]


def _spread_by_quotes(quotes: pl.DataFrame, day: date) -> float | None:
    session, rows = XNYS.session(day), _sound(quotes, day)
    if len(rows) < 0.5 * ((session.close - session.open) / _MINUTE):
        return None
    return math.fsum(2e4 * (q["ask"] - q["bid"]) / (q["ask"] + q["bid"]) for q in rows) / len(rows)


def _depth(quotes: pl.DataFrame, day: date) -> float | None:
    shown = [(q["bid_depth"], q["ask_depth"]) for q in _sound(quotes, day)]
    kept = [(b, a) for b, a in shown if b is not None and a is not None and min(b, a) >= 0 and math.isfinite(b + a)]
    bid, ask = math.fsum(b for b, _ in kept), math.fsum(a for _, a in kept)
    return bid / (bid + ask) if bid + ask > 0 else None


def correlation_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, stored: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """CORRELATIONS against numpy.corrcoef, numpy.cov and a loop over the pair's past; and the choice of peers.

    Args:
        bars: Rows of DAILY_BARS from the first bar on.
        actions: Rows of CORPORATE_ACTIONS.
        stored: Rows of CORRELATIONS of the span.
        span: The sessions to sample from.
    """
    found: list[str] = []
    for row in sampled(stored, "correlations", span, count=2):
        lines = [_log_prices(bars, actions, row[name], row["session"]) for name in ("symbol_a", "symbol_b")]
        x, y = _life(*lines)
        where = f"{row['symbol_a']}/{row['symbol_b']} {row['session']}"
        found += disagreements(where, row, _pair(x, y))
        found += [] if _same_half_life(x, y, row["half_life_sessions"]) else [f"{where}: half_life_sessions is wrong"]
    return tuple(found)


def _log_prices(bars: pl.DataFrame, actions: pl.DataFrame, symbol: str, day: date) -> dict[date, float]:
    past = bars.filter((pl.col("symbol") == symbol) & (pl.col("session") <= day)).sort("session")
    days = past["session"].to_list()
    prices = np.log(past["close"].to_numpy() / share_factors(actions, symbol, days, day))
    return dict(zip(days, prices.tolist(), strict=True))


def _life(a: Mapping[date, float], b: Mapping[date, float]) -> tuple[Floats, Floats]:
    """Log prices at the common sessions since the last silence of more than five sessions."""
    common = sorted(a.keys() & b.keys())
    places = np.searchsorted(np.array(XNYS.days), np.array(common))
    breaks = np.flatnonzero(np.diff(places) > 6)
    kept = common[int(breaks[-1]) + 1 :] if breaks.size else common
    return np.array([a[day] for day in kept]), np.array([b[day] for day in kept])


def _pair(x: Floats, y: Floats) -> dict[str, Expected]:
    rx, ry = np.diff(x), np.diff(y)
    short, long = (float(np.corrcoef(rx[-n:], ry[-n:])[0, 1]) if rx.size >= n else math.nan for n in (20, 120))
    z, scale = _gap_z(x, y)
    hits, episodes = _episodes(x, y)
    odds = hits / episodes if episodes else None
    error = math.sqrt(1 / 17 - 1 / 117)
    apart = (math.atanh(short) - math.atanh(long)) / error if max(abs(short), abs(long)) < 1 else math.nan
    low, high = _wilson(hits, episodes)
    return {
        "correlation_20": Expected(short, 1.0),
        "correlation_120": Expected(long, 1.0),
        "divergence": Expected(apart, max(1.0, 1e-3 / max(1 - max(short**2, long**2), 1e-12))),
        "gap_z": Expected(z, scale),
        "convergence_odds": Expected(odds),
        "convergence_low": Expected(low, 1.0),
        "convergence_high": Expected(high, 1.0),
        "episodes": Expected(float(episodes)),
    }


def _beta(x: Floats, y: Floats) -> float:
    rx, ry = np.diff(x)[-120:], np.diff(y)[-120:]
    return float(np.cov(rx, ry)[0, 1] / np.var(ry, ddof=1)) if rx.size >= 120 else math.nan


def _gap_z(x: Floats, y: Floats) -> tuple[float, float]:
    """The z-score, and what 1e-9 is a part of: more where the two prices nearly coincide."""
    beta = _beta(x, y)
    if not math.isfinite(beta):
        return math.nan, 1.0
    spread = x[-60:] - beta * y[-60:]
    whole = float(np.var(x[-60:]) + beta**2 * np.var(y[-60:]))
    return float((spread[-1] - spread.mean()) / spread.std(ddof=1)), max(1.0, 1e-5 * whole / float(np.var(spread)))


def _episodes(x: Floats, y: Floats) -> tuple[int, int]:
    """Gaps beyond 2 that ended before the newest session: came back inside 0.5 within 20 sessions, and all."""
    line = [_gap_z(x[:end], y[:end])[0] for end in range(1, x.size)]
    hits, episodes, since = 0, 0, -1
    for now, z in enumerate(line):
        if since >= 0 and (abs(z) < 0.5 or now - since >= 20):
            hits, episodes, since = hits + (abs(z) < 0.5), episodes + 1, -1
        elif since < 0 and now > 0 and abs(z) > 2 and abs(line[now - 1]) <= 2:
            since = now
    return hits, episodes


def _wilson(hits: int, trials: int) -> tuple[float | None, float | None]:
    if not trials:
        return None, None
    z, p = 1.959963984540054, hits / trials
    reach = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    low, high = ((p + z * z / (2 * trials) + sign * reach) / (1 + z * z / trials) for sign in (-1, 1))
    return 0.0 if hits == 0 else low, 1.0 if hits == trials else high


def _same_half_life(x: Floats, y: Floats, stored: float | None) -> bool:
    """Compares the share of a deviation that is left after one session: half-lives lose digits where it comes near 1."""
    beta = _beta(x, y)
    if not math.isfinite(beta):
        return stored is None
    spread = x[-60:] - beta * y[-60:]
    left = float(np.cov(spread[1:], spread[:-1])[0, 1] / np.var(spread[:-1], ddof=1))
    if stored is None:
        return not 1e-9 < left < 1 - 1e-9
    return stored > 0 and bool(abs(0.5 ** (1 / stored) - left) < AGREEMENT)


def peer_disagreements(
    bars: pl.DataFrame, actions: pl.DataFrame, stored: pl.DataFrame, *, span: Span
) -> tuple[str, ...]:
    """Whether every pair that must be in CORRELATIONS is: all of a small session's, and the peers of one symbol of a large one.

    Args:
        bars: Rows of DAILY_BARS of the span and the seven months before it.
        actions: Rows of CORPORATE_ACTIONS.
        stored: Rows of CORRELATIONS of the span.
        span: The sessions to look at.
    """
    found: list[str] = []
    inside = bars.filter(pl.col("session").is_between(span.first, span.last))
    counts = inside.group_by("session").agg(pl.len()).sort("session")
    held = dict(stored.group_by("session").agg(pl.len()).rows())
    for day, count in counts.rows():
        if count <= ALL_PAIRS and held.get(day, 0) != count * (count - 1) // 2:
            found.append(f"{day}: {held.get(day, 0)} pairs of {count} symbols")
    for chosen in sampled(inside.join(counts.filter(pl.col("len") > ALL_PAIRS), on="session"), "peers", span, count=1):
        found += _missing_peers(chosen["symbol"], chosen["session"], bars, actions, stored)
    return tuple(found)


def _missing_peers(
    symbol: str, day: date, bars: pl.DataFrame, actions: pl.DataFrame, stored: pl.DataFrame
) -> list[str]:
    until = XNYS.previous(day.replace(day=1))
    window = [XNYS.previous(until.day, back).day for back in range(120, 0, -1)] + [until.day]
    known = bars.filter(pl.col("session").is_between(window[0], until.day))
    lines = {name: _log_prices(known, actions, name, until.day) for name in known["symbol"].unique().sort()}
    whole = {name: np.diff([line[d] for d in window]) for name, line in lines.items() if len(line) == len(window)}
    moved = {name: steps for name, steps in whole.items() if np.ptp(steps) > 0}
    if symbol not in moved:
        return []
    alike = {name: round(float(np.corrcoef(moved[symbol], moved[name])[0, 1]), 9) for name in moved if name != symbol}
    nearest = sorted(alike, key=lambda name: (-alike[name], name))[:PEERS]
    present = set(bars.filter(pl.col("session") == day)["symbol"])
    pairs = set(stored.filter(pl.col("session") == day).select("symbol_a", "symbol_b").rows())
    due = {(min(symbol, name), max(symbol, name)) for name in nearest if name in present}
    return [f"{day}: {symbol} lacks its peers {sorted(due - pairs)}"] if due - pairs else []
