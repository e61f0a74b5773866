"""The screen: ordered rules, a score by ranks within the session, and the cut to the best.

Every refusal is a sentence with value and bound; a value that does not exist yet refuses.
"""

from collections.abc import Sequence

import polars as pl

from trading_assets.watchlist.rules import DollarVolumeMin, PriceMin, Rule, ViewsAllowed, VolatilityMax, WatchlistRules

_MOMENTUM, _TREND, _CALM = pl.col("mom_252_21"), pl.col("close") / pl.col("sma_200"), -pl.col("vol_20")
_RETURNS = "returns"


def screened(symbols: pl.DataFrame, rules: WatchlistRules) -> pl.DataFrame:
    """The rows with `reason` (empty where a symbol is to be simulated), `score`, `rank`, `stop` and `target` (USD).

    Args:
        symbols: Rows of INDICATORS with `strategy_view` (text, nullable) and `returns` (how many the window holds) beside them.
        rules: What to ask.
    """
    asked = symbols.with_columns(
        reason=first_reason([*map(_broken, rules.screen), *_unscored(), _short(rules), *_no_levels(rules)])
    )
    ranked = _ranked(asked, rules)
    beyond = pl.format(
        "rank {} of {} is beyond the {} candidates", "rank", pl.col("rank").max().over("session"), rules.candidates
    )
    return ranked.with_columns(
        reason=pl.coalesce("reason", pl.when(pl.col("rank") > rules.candidates).then(beyond))
    ).with_columns(pl.when(pl.col("reason").is_null()).then(pl.col(name)).alias(name) for name in ("stop", "target"))


def first_reason(reasons: Sequence[pl.Expr]) -> pl.Expr:
    """The first of some texts that is not empty."""
    return pl.coalesce(*reasons, pl.lit(None, pl.String))


def at_least(value: pl.Expr, bound: float, name: str, unit: str) -> pl.Expr:
    """Empty where the value reaches the bound; else the sentence that says by name, value and bound that it does not."""
    below = pl.format(f"{name} {{}}{unit} is below {bound:g}{unit}", value.round(4))
    return (
        pl.when(value.is_null())
        .then(pl.lit(f"{name} has no value yet"))
        .when((value < bound) | value.is_nan())
        .then(below)
    )


def _broken(rule: Rule) -> pl.Expr:
    match rule:
        case PriceMin():
            return at_least(pl.col("close"), rule.usd, "price", " USD")
        case DollarVolumeMin():
            return at_least(pl.col("volume_mean_20") * pl.col("close"), rule.usd, "dollar volume", " USD")
        case VolatilityMax():
            return _at_most(pl.col("vol_20"), rule.fraction, "volatility")
        case ViewsAllowed():
            return _among(pl.col("strategy_view"), rule.views)


def _at_most(value: pl.Expr, bound: float, name: str) -> pl.Expr:
    above = pl.format(f"{name} {{}} is above {bound:g}", value.round(4))
    return (
        pl.when(value.is_null())
        .then(pl.lit(f"{name} has no value yet"))
        .when((value > bound) | value.is_nan())
        .then(above)
    )


def _among(value: pl.Expr, allowed: Sequence[str]) -> pl.Expr:
    other = pl.format(f"regime view {{}} is not among {', '.join(allowed)}", value)
    none = pl.lit("there is no regime label yet")
    return pl.when(value.is_null()).then(none).when(~value.is_in(list(allowed))).then(other)


def _unscored() -> Sequence[pl.Expr]:
    values = {"mom_252_21": _MOMENTUM, "sma_200": _TREND, "vol_20": _CALM, "atr_14": pl.col("atr_14")}
    return [pl.when(~_known(value)).then(pl.lit(f"{name} has no value yet")) for name, value in values.items()]


def _known(value: pl.Expr) -> pl.Expr:
    return value.is_finite().fill_null(value=False)


def _short(rules: WatchlistRules) -> pl.Expr:
    few = f"{{}} past returns in {rules.window_sessions} sessions are fewer than {rules.returns_min}"
    return pl.when(pl.col(_RETURNS) < rules.returns_min).then(pl.format(few, _RETURNS))


def _no_levels(rules: WatchlistRules) -> Sequence[pl.Expr]:
    still = pl.when(~(pl.col("atr_14") > 0)).then(pl.lit("atr_14 is 0: the price does not move"))
    deep = pl.format(
        f"stop {{}} USD is not above 0: {rules.levels.stop_atr:g} x atr_14 exceeds the price", _stop(rules)
    )
    return [still, pl.when(~(_stop(rules) > 0)).then(deep)]


def _stop(rules: WatchlistRules) -> pl.Expr:
    return pl.col("close") - rules.levels.stop_atr * pl.col("atr_14")


def _target(rules: WatchlistRules) -> pl.Expr:
    return pl.col("close") + rules.levels.reward_to_risk * rules.levels.stop_atr * pl.col("atr_14")


def _ranked(asked: pl.DataFrame, rules: WatchlistRules) -> pl.DataFrame:
    """Rank 1 is the highest score; equal scores go by symbol."""
    passed = asked.filter(pl.col("reason").is_null())
    scored = passed.with_columns(score=_score(rules), stop=_stop(rules), target=_target(rules))
    best_first = scored.sort("session", "score", "symbol", descending=[False, True, False])
    placed = best_first.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("session"))
    return asked.join(
        placed.select("session", "symbol", "score", "rank", "stop", "target"), on=["session", "symbol"], how="left"
    )


def _score(rules: WatchlistRules) -> pl.Expr:
    """The weighted mean of mid-ranks (0 to 1) among the session's symbols that passed."""
    weights = rules.score
    parts = ((weights.momentum, _MOMENTUM), (weights.trend, _TREND), (weights.calm, _CALM))
    total = weights.momentum + weights.trend + weights.calm
    middle = [weight * (value.rank("average") - 0.5) / pl.len() for weight, value in parts]
    return ((middle[0] + middle[1] + middle[2]) / total).over("session")
