"""`desk regimes`: what the stored labels say, and how good the ways to label are on a market whose regimes are known."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from desk.output import say, table
from desk.runner import prepare_home
from resources.desk import DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS, REGIME_OPINIONS

if TYPE_CHECKING:
    import polars as pl

    from trading_assets.regimes.contenders import World

SEEDS = 3
SEEDS_MAX = 100
PLOTTED_SESSIONS = 504
_MEMBERS = 10
_SCORED = 4
_KEY = ["session", "symbol"]
_SHORT = {
    "trending_up": "up",
    "trending_down": "down",
    "high_volatility": "high",
    "low_volatility": "low",
    "ranging": "ranging",
}


def run_regimes(symbol: str, *, as_json: bool) -> None:
    """Prints the newest label of each symbol, how long regimes last and what followed what; writes three pictures.

    Args:
        symbol: Whose price is drawn beside MARKET's; empty for the first in the alphabet.
        as_json: One JSON object on stdout instead of tables.
    """
    from trading_assets.regimes.history import persistence, transitions

    home = prepare_home()
    desk = DeskResource()
    labels = desk.lake().read(REGIME_LABELS, as_of=desk.clock().now())
    if labels.is_empty():
        raise DataNotReady("no regime has been labelled yet", hint="desk backtest --from D --to D labels a range")
    drawn = _drawn_symbol(labels, symbol)
    told: dict[str, Any] = {
        "sessions": labels["session"].n_unique(),
        "first": labels["session"].min(),
        "last": labels["session"].max(),
        "newest": _newest(desk, labels),
        "persistence": persistence(labels).rows(named=True),
        "transitions": transitions(labels).rows(named=True),
        "next_20_sessions": _what_followed(desk, labels),
        "plots": _plots(desk, labels, drawn, home.reports / "regimes"),
    }
    if as_json:
        typer.echo(json.dumps(told, default=str))
        return
    _show(told)


def run_score(seeds: int, *, as_json: bool) -> None:
    """Scores all contenders on the second half of simulated markets, seeds 1 to `seeds`, and prints them in one table."""
    from trading_assets.regimes.standings import standings

    if not 1 <= seeds <= SEEDS_MAX:
        raise PermanentFailure("that many markets cannot be scored", value=seeds, bound=f"1 to {SEEDS_MAX}")
    told = {"seeds": seeds, **standings(list(_worlds(seeds)))}
    if as_json:
        typer.echo(json.dumps(told, default=str))
        return
    _show_score(told)


def _worlds(seeds: int) -> Iterator["World"]:
    """Ten members of each market make its index; the index and the first four of them are scored."""
    import polars as pl

    from simulation.market import SimulatedMarket
    from trading_assets.regimes.contenders import world_of

    for seed in range(1, seeds + 1):
        say(f"simulated market {seed} of {seeds}")
        market = SimulatedMarket(seed)
        members = [one for one in market.cast() if not one.fails][:_MEMBERS]
        span = Span(max(one.first for one in members), min(one.last for one in members))
        symbols = [one.symbol for one in members]
        bars = market.daily_panel(symbols, span)
        actions = pl.concat([market.corporate_actions(symbol, span) for symbol in symbols])
        truth = market.truth(symbols[:_SCORED], span)
        traded = truth.join(bars, on=_KEY, how="semi")
        both = pl.concat([truth.filter(pl.col("symbol") == MARKET), traded]).sort("symbol", "session")
        yield world_of(bars, actions, both)


def _drawn_symbol(labels: "pl.DataFrame", symbol: str) -> str:
    known = sorted(set(labels["symbol"]) - {MARKET})
    if symbol and symbol not in known:
        raise PermanentFailure(f"{symbol} has no label", value=symbol, bound=", ".join(known) or "MARKET only")
    return symbol or (known[0] if known else MARKET)


def _newest(desk: DeskResource, labels: "pl.DataFrame") -> list[dict[str, Any]]:
    """The labels of the newest session, with the second opinion and the liquidity of the same session where they are stored."""
    import polars as pl

    last = labels["session"].max()
    rows = labels.filter(pl.col("session") == last).select(*_KEY, "regime", "since", "probability", "strategy_view")
    lake, as_of = desk.lake(), desk.clock().now()
    opinions = lake.read(REGIME_OPINIONS, as_of=as_of).select(*_KEY, pl.col("regime").alias("jump_model"))
    liquidity = lake.read(LIQUIDITY_REGIMES, as_of=as_of).select(*_KEY, pl.col("regime").alias("liquidity"))
    both = rows.join(opinions, on=_KEY, how="left").join(liquidity, on=_KEY, how="left")
    return both.sort(pl.col("symbol") != MARKET, "symbol").rows(named=True)


def _what_followed(desk: DeskResource, labels: "pl.DataFrame") -> list[dict[str, Any]]:
    """What the 20 sessions after MARKET's labels brought."""
    import polars as pl

    from trading_assets.regimes.scoring import usefulness

    return usefulness(labels.filter(pl.col("symbol") == MARKET), _moves(desk)).rows(named=True)


def _moves(desk: DeskResource) -> "pl.DataFrame":
    from trading_assets.regimes.moves import daily_moves

    lake, as_of = desk.lake(), desk.clock().now()
    bars, actions = lake.read(DAILY_BARS, as_of=as_of), lake.read(CORPORATE_ACTIONS, as_of=as_of)
    return daily_moves(bars, actions, last=XNYS.last)


def _plots(desk: DeskResource, labels: "pl.DataFrame", symbol: str, folder: Path) -> list[Path]:
    """Writes the pictures and returns their paths."""
    import polars as pl

    from trading_assets.regimes.history import transitions
    from trading_assets.regimes.plots import regime_background, transition_map

    moves, pictures = _moves(desk), {}
    for name in dict.fromkeys((MARKET, symbol)):
        own = pl.col("symbol") == name
        shown = labels.filter(own).sort("session").tail(PLOTTED_SESSIONS)
        line = moves.filter(own & (pl.col("session") >= shown["session"].min())).drop_nulls("move").sort("session")
        closes = line.with_columns((100 * pl.col("move").cum_sum().exp()).alias("close"))
        if closes.height > 1:
            title = f"{name} and its regimes, last {closes.height} sessions (set out from 100, splits taken out)"
            pictures[f"{name.lower()}.png"] = regime_background(closes, shown, title=title)
    title = "What followed what, one session to the next, all symbols"
    pictures["transitions.png"] = transition_map(transitions(labels), title=title)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in pictures.items():
        (folder / file).write_bytes(content)
    return [folder / file for file in pictures]


def _show(told: Mapping[str, Any]) -> None:
    from trading_assets.regimes.rules import REGIMES

    words = ("symbol", "regime", "since", "probability", "jump_model", "liquidity")
    heads = ("symbol", "regime", "since", "agree", "jump model", "liquidity")
    table(f"Regimes at the close of {told['last']}", heads, _cells(told["newest"], words))
    spells = ("regime", "spells", "sessions", "mean_sessions", "expected_sessions", "expected_low", "expected_high")
    spell_heads = ("regime", "spells", "sessions", "mean", "expected", "from", "to")
    title = f"How long regimes last, {told['first']} to {told['last']}, in sessions"
    table(title, spell_heads, _cells(told["persistence"], spells, digits=1))
    title = "What followed what, one session to the next, % of a row"
    table(title, ("regime", *(_SHORT[name] for name in REGIMES)), _matrix(told["transitions"], REGIMES))
    _show_what_followed("The 20 sessions after a label of MARKET", told)
    for path in told["plots"]:
        typer.echo(path)


def _show_score(told: Mapping[str, Any]) -> None:
    title = f"Second half of {told['seeds']} simulated markets; {told['true_switches']:.0f} true switches per symbol"
    words = ("method", "knows", "macro_f1", "macro_f1_error", "balanced_accuracy", "switches", "delay_sessions")
    heads = ("method", "knows", "macro-F1", "±", "balanced", "switches", "delay")
    table(title, heads, _cells(told["contenders"], words))
    f1 = [{"method": row["method"], **row["f1"], **row["gain"]} for row in told["contenders"]]
    title = "F1 by regime; share of the error taken off a forecast of 20 sessions"
    table(
        title,
        ("method", *_SHORT.values(), "volatility", "return"),
        _cells(f1, ("method", *_SHORT, "log_volatility", "return")),
    )
    _show_what_followed("The 20 sessions after a label of MARKET by the rules", told)


def _show_what_followed(title: str, told: Mapping[str, Any]) -> None:
    words = (
        "regime",
        "sessions",
        "volatility_next_20",
        "volatility_to_all",
        "return_next_20",
        "return_low",
        "return_high",
    )
    heads = ("regime", "sessions", "volatility", "to all", "return", "from", "to")
    table(title, heads, _cells(told["next_20_sessions"], words))


def _matrix(transitions: Sequence[Mapping[str, Any]], regimes: Sequence[str]) -> list[list[str]]:
    shares = {(row["from"], row["to"]): row["probability"] for row in transitions}
    known = [name for name in regimes if any(begin == name for begin, _ in shares)]
    return [[name, *(f"{100 * shares.get((name, after), 0.0):.1f}" for after in regimes)] for name in known]


def _cells(rows: Sequence[Mapping[str, Any]], names: Sequence[str], *, digits: int = 3) -> list[list[str]]:
    return [[_word(row.get(name), digits) for name in names] for row in rows]


def _word(value: object, digits: int) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"
    return "" if value is None else str(value)
