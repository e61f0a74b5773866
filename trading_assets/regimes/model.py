"""The table of regime labels."""

from typing import Literal

from trading_assets.core.tables import KNOWABLE_AT, SESSION, Column, Table

Regime = Literal["trending_up", "trending_down", "high_volatility", "low_volatility", "ranging"]
StrategyView = Literal["trending_bull", "trending_bear", "range", "mild_trend", "mixed"]
MARKET = "MARKET"

REGIME_LABELS = Table(
    name="regime_labels",
    doc="The regime of one symbol, or of the market as a whole, at a session's close.",
    key=("session", "symbol"),
    columns=(
        Column("symbol", "text", "Ticker, or MARKET for the equal-weighted universe."),
        SESSION,
        Column("regime", "text", "trending_up, trending_down, high_volatility, low_volatility or ranging."),
        Column(
            "strategy_view", "text", "trending_bull, trending_bear, range, mild_trend or mixed: what strategies ask."
        ),
        Column("probability", "number", "Share of the last 10 unconfirmed labels that agree with this one, 0 to 1."),
        Column("since", "day", "Session in which this label was confirmed."),
        Column("volatility_percentile", "number", "Mid-rank of 15-day volatility within three years, 0 to 1."),
        Column("trend_strength", "number", "30-day log return over its deviation: daily deviation times sqrt(30)."),
        Column("adx_14", "number", "Average directional index of the session."),
        KNOWABLE_AT,
    ),
)
