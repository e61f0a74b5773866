"""The strategy monitor: which strategy is switched off in which regime, and when it may come back.

Judged are the newest `window_trades` of a strategy in a regime: those that it made, and, while it is off, those that it would have
made: its entries are withheld and kept on record, and a replay shows what became of them. It goes off when either minimum is
missed, and comes back only when the same window, by then with at least `trades_between_switches` trades since the switch, meets the
higher win rate and the minimum P&L. So luck in a handful of trades switches nothing, and neither way is taken twice in a row.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from trading_assets.core.learning import MonitorRules
from trading_assets.core.parameters import SWITCHED_OFF, Parameters, Suggestion
from trading_assets.evaluation.study_replay import Market, replay
from trading_assets.evaluation.suggestions import Moved
from trading_assets.execution.tuning import MONITOR
from trading_assets.plans.model import TradePlan

Word = Literal["on", "off", "switch off", "switch on", "off by the operator"]
_PLACES = 6


@dataclass(frozen=True, slots=True)
class Turn:
    """A trade that a strategy closed in a regime, or would have closed had it not been withheld."""

    id: str
    strategy: str
    regime: str
    symbol: str
    opened: date
    closed: date
    pnl_usd: Decimal
    withheld: bool = False

    @property
    def name(self) -> str:
        """What switches it off."""
        return f"{self.strategy}@{self.regime}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a strategy stands in a regime, and the word on it."""

    strategy: str
    regime: str
    word: Word
    trades: int
    withheld: int
    since_switch: int
    win_rate: float | None
    net_pnl_usd: Decimal
    reason: str

    @property
    def name(self) -> str:
        """What switches it off."""
        return f"{self.strategy}@{self.regime}"


def turns_of(trades: pl.DataFrame, withheld: Sequence[Turn]) -> tuple[Turn, ...]:
    """Rows of TRADES and withheld trades, in the order in which they closed."""
    made = (
        Turn(row["trade_id"], row["strategy"], row["regime"], row["symbol"], row["opened"], row["session"], row["pnl"])
        for row in trades.iter_rows(named=True)
    )
    return tuple(sorted((*made, *withheld), key=lambda turn: (turn.closed, turn.opened, turn.id)))


def withheld_plans(plans: pl.DataFrame, verdicts: pl.DataFrame) -> tuple[TradePlan, ...]:
    """Entries that only the monitor kept from trading, by session and id.

    Args:
        plans: Rows of TRADE_PLANS.
        verdicts: Rows of VERDICTS.
    """
    kept = verdicts.filter((pl.col("ruling") == "veto") & (pl.col("controls") == MONITOR)).select("session", "plan_id")
    found = plans.filter(pl.col("action") == "enter").join(kept.unique(), on=["session", "plan_id"], how="inner")
    return tuple(_plan_of(row) for row in found.sort("session", "plan_id").iter_rows(named=True))


def withheld_turns(plans: Sequence[TradePlan], market: Market) -> tuple[Turn, ...]:
    """What became of withheld entries that filled and are over by the market's last session.

    A strategy holds one position in a symbol at a time: an entry while an earlier one is still held is left out.
    """
    found, busy = list[Turn](), dict[tuple[str, str], date]()
    for plan in plans:
        key = (plan.strategy, plan.symbol)
        if plan.session <= busy.get(key, date.min):
            continue
        played = replay(plan, plan.quantity, market)
        if played.ended != "not filled":
            busy[key] = played.closed or date.max
        if played.ended == "closed" and played.closed is not None:
            found.append(
                Turn(
                    plan.id, plan.strategy, plan.regime, plan.symbol, plan.session, played.closed, played.pnl_usd, True
                )
            )
    return tuple(found)


def standings(
    turns: Sequence[Turn], now: Parameters, base: Parameters, moved: Sequence[Moved], rules: MonitorRules
) -> tuple[Standing, ...]:
    """Every strategy and regime that ever traded, by name.

    Args:
        turns: In the order in which they closed.
        now: What is in force on the next session.
        base: What is configured: what the operator switches off there stays off.
        moved: Every change of a parameter, oldest first.
    """
    flips = _flips(moved, base)
    by_name: dict[str, list[Turn]] = {}
    for turn in turns:
        by_name.setdefault(turn.name, []).append(turn)
    return tuple(_standing(by_name[name], now, base, flips.get(name), rules) for name in sorted(by_name))


def switch(found: Sequence[Standing], now: Parameters, *, last: date) -> Suggestion | None:
    """All switches of a session as one move of `switched_off`; None where there is none."""
    off = {each.name for each in found if each.word == "switch off"}
    on = {each.name for each in found if each.word == "switch on"}
    if not off | on:
        return None
    after = tuple(sorted({*now.switched_off, *off} - on))
    moving = [each for each in found if each.name in off | on]
    evidence = {
        "last_session": last.isoformat(),
        "standings": [
            {
                "name": each.name,
                "word": each.word,
                "trades": each.trades,
                "withheld": each.withheld,
                "win_rate": each.win_rate,
                "net_pnl_usd": str(each.net_pnl_usd),
            }
            for each in moving
        ],
    }
    reason = "; ".join(f"{each.word} {each.name}: {each.reason}" for each in moving)
    return Suggestion(
        SWITCHED_OFF, now.switched_off, after, reason, evidence, observations=min(each.trades for each in moving)
    )


def standing_rows(found: Sequence[Standing], session: date) -> list[dict[str, object]]:
    """Rows of STRATEGY_STANDINGS but for the instant from which they are known."""
    return [
        {
            "session": session,
            "strategy": each.strategy,
            "regime": each.regime,
            "word": each.word,
            "trades": each.trades,
            "withheld": each.withheld,
            "since_switch": each.since_switch,
            "win_rate": each.win_rate,
            "net_pnl": each.net_pnl_usd,
            "reason": each.reason,
        }
        for each in found
    ]


def _plan_of(row: Mapping[str, Any]) -> TradePlan:
    """The plan that a row of TRADE_PLANS holds."""
    given = {name: row[name] for name in TradePlan.model_fields if name not in {"as_of", "reasons", "votes"}}
    reasons, votes = tuple(json.loads(row["reasons"])), json.loads(row["votes"])
    return TradePlan(**given, as_of=row["knowable_at"], reasons=reasons, votes=votes)


def _standing(
    turns: Sequence[Turn], now: Parameters, base: Parameters, flipped: date | None, rules: MonitorRules
) -> Standing:
    newest, window = turns[-1], turns[-rules.window_trades :]
    since = sum(flipped is None or turn.opened >= flipped for turn in turns)
    wins = sum(turn.pnl_usd > 0 for turn in window) / len(window)
    net = sum((turn.pnl_usd for turn in window), Decimal(0))
    word, reason = _word(newest, now, base, rules, (len(window), since, flipped is not None), (wins, net))
    return Standing(
        strategy=newest.strategy,
        regime=newest.regime,
        word=word,
        trades=len(window),
        withheld=sum(turn.withheld for turn in window),
        since_switch=since,
        win_rate=round(wins, _PLACES),
        net_pnl_usd=net,
        reason=reason,
    )


def _word(
    newest: Turn,
    now: Parameters,
    base: Parameters,
    rules: MonitorRules,
    counted: tuple[int, int, bool],
    earned: tuple[float, Decimal],
) -> tuple[Word, str]:
    trades, since, ever_switched = counted
    off, (wins, net) = now.stops(newest.strategy, newest.regime), earned
    if off and base.stops(newest.strategy, newest.regime):
        return "off by the operator", "config/parameters.yaml switches it off"
    standing: Word = "off" if off else "on"
    if trades < rules.window_trades:
        return standing, f"{trades} of {rules.window_trades} trades"
    if ever_switched and since < rules.trades_between_switches:
        return standing, f"{since} of {rules.trades_between_switches} trades since the last switch"
    least = rules.resume_win_rate_min if off else rules.win_rate_min
    floor = Decimal(str(rules.net_pnl_usd_min))
    told = f"{wins:.0%} of {trades} trades won (least {least:.0%}), P&L {net:,.2f} USD (least {floor:,.2f})"
    good = wins >= least and net >= floor
    if off:
        return ("switch on", told) if good else ("off", told)
    return ("on", told) if good else ("switch off", told)


def _flips(moved: Sequence[Moved], base: Parameters) -> Mapping[str, date]:
    """By name, the session from which its last switch counts."""
    found, before = dict[str, date](), frozenset(base.switched_off)
    for each in moved:
        if each.name == SWITCHED_OFF:
            after = frozenset(each.after)
            found.update(dict.fromkeys(after ^ before, each.from_session))
            before = after
    return found


def pictured(found: Sequence[Standing]) -> Iterator[str]:
    """The standings as sentences, switches first."""
    for each in sorted(found, key=lambda each: (not each.word.startswith("switch"), each.name)):
        yield f"{each.name} {each.word}: {each.reason}"
