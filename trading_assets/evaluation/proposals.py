"""What the record suggests to change, and how far it can be trusted.

Proposals are rules over counted evidence, each with the number of observations behind it. Nothing here is ever applied: the
operator decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

from trading_assets.evaluation.summary import SESSIONS_PER_YEAR, TradeRecord

TRADES_MIN = 10
PROFIT_FACTOR_MIN = 0.8
WIN_RATE_MIN = 0.35
FEES_SHARE_MAX = 0.25
VETOES_MIN = 10
TRADES_FOR_JUDGEMENT = 30
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something to look at: what, why in numbers, and on how many observations."""

    subject: str
    action: str
    evidence: str
    observations: int


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """A control's vetoes. Those that were replayed are split by what the entry would have earned, USD."""

    control: str
    vetoes: int
    replayed: int
    not_filled: int
    would_have_won: int
    would_have_lost: int
    pnl_usd: Decimal


def propose(
    strategies: Mapping[str, TradeRecord],
    regimes: Mapping[str, TradeRecord],
    controls: Sequence[ControlRecord],
    *,
    fees_usd: Decimal,
    gross_profit_usd: Decimal,
    trades: int,
) -> tuple[Proposal, ...]:
    """All proposals that the record supports; none when it is too short to support any."""
    return (
        *_weak("strategy", strategies),
        *_weak("regime", regimes),
        *_costly_controls(controls),
        *_costly_fees(fees_usd, gross_profit_usd, trades),
    )


def caveats(pnl_usd: Sequence[Decimal], *, sessions: int, has_benchmark: bool, incidents: int) -> tuple[str, ...]:
    """What a reader must know before believing the figures."""
    return tuple(_caveats([float(amount) for amount in pnl_usd], sessions, has_benchmark, incidents))


def _weak(kind: str, records: Mapping[str, TradeRecord]) -> Iterator[Proposal]:
    for name, record in records.items():
        if record.trades < TRADES_MIN:
            continue
        subject = f"{kind} {name}"
        if record.profit_factor is not None and record.profit_factor < PROFIT_FACTOR_MIN:
            evidence = (
                f"profit factor {record.profit_factor:.2f}, below {PROFIT_FACTOR_MIN}, P&L {record.pnl_usd:,.2f} USD"
            )
            yield Proposal(subject, "review its rules, or pause it", evidence, record.trades)
        elif record.win_rate_fraction is not None and record.win_rate_fraction < WIN_RATE_MIN:
            evidence = (
                f"win rate {record.win_rate_fraction:.0%}, below {WIN_RATE_MIN:.0%}, P&L {record.pnl_usd:,.2f} USD"
            )
            yield Proposal(subject, "review its entries", evidence, record.trades)


def _costly_controls(controls: Sequence[ControlRecord]) -> Iterator[Proposal]:
    for record in controls:
        decided = record.would_have_won + record.would_have_lost
        if decided >= VETOES_MIN and record.would_have_won > record.would_have_lost and record.pnl_usd > 0:
            evidence = f"{record.would_have_won} of {decided} refused entries would have won, {record.pnl_usd:,.2f} USD together"
            yield Proposal(
                f"control {record.control}", "review the plans that meet it, then its bound", evidence, decided
            )


def _costly_fees(fees_usd: Decimal, gross_profit_usd: Decimal, trades: int) -> Iterator[Proposal]:
    if trades >= TRADES_MIN and fees_usd > gross_profit_usd * Decimal(str(FEES_SHARE_MAX)) > 0:
        evidence = f"fees {fees_usd:,.2f} USD are {fees_usd / gross_profit_usd:.0%} of what winning trades earned"
        yield Proposal("costs", "trade larger or less often", evidence, trades)


def _caveats(pnl_usd: Sequence[float], sessions: int, has_benchmark: bool, incidents: int) -> Iterator[str]:
    trades = len(pnl_usd)
    if trades == 0:
        yield "No trade has closed: nothing can be said about any strategy."
    elif trades < TRADES_FOR_JUDGEMENT:
        yield f"{trades} closed trades cannot be told from luck; {TRADES_FOR_JUDGEMENT} is the least to judge by."
    else:
        yield _luck(pnl_usd)
    if sessions < SESSIONS_PER_YEAR:
        yield f"{sessions} sessions are less than a year: Sharpe, Sortino and volatility are rough, and CAGR is left out."
    if not has_benchmark:
        yield "There is no buy-and-hold to compare with."
    if incidents:
        yield f"Quality gates failed {incidents} times: figures that rest on those sessions may be wrong or missing."


def _luck(pnl_usd: Sequence[float]) -> str:
    mean, margin = fmean(pnl_usd), _NORMAL_95 * stdev(pnl_usd) / sqrt(len(pnl_usd))
    low, high = mean - margin, mean + margin
    verdict = "includes zero: this record cannot be told from luck" if low <= 0 <= high else "excludes zero"
    return f"Mean P&L per trade {mean:,.2f} USD over {len(pnl_usd)} trades; its 95 % interval {low:,.2f} to {high:,.2f} {verdict}."
