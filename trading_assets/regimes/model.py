"""The tables of regimes: the rules' labels, a model's second opinion, and liquidity."""

from typing import Literal

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Regime = Literal["trending_up", "trending_down", "high_volatility", "low_volatility", "ranging"]
StrategyView = Literal["trending_bull", "trending_bear", "range", "mild_trend", "mixed"]
LiquidityRegime = Literal["stressed", "buyer_dominated", "seller_dominated", "normal", "unknown"]
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

REGIME_OPINIONS = Table(
    name="regime_opinions",
    doc="What a statistical model, fitted on earlier years only, says beside the rules; logged, never read by a decision.",
    key=("session", "symbol", "model"),
    columns=(
        Column("symbol", "text", "Ticker, or MARKET for the equal-weighted universe."),
        SESSION,
        Column("model", "text", "jump_model."),
        Column("regime", "text", "trending_up, trending_down, high_volatility, low_volatility or ranging."),
        Column("agrees", "flag", "The rules say the same of this session. Empty without their label.", nullable=True),
        Column("fitted_through", "day", "Last session that the model was fitted on: in the calendar year before."),
        KNOWABLE_AT,
    ),
)

LIQUIDITY_REGIMES = Table(
    name="liquidity_regimes",
    doc="How easily one symbol could be traded in a session, judged at its close.",
    key=("session", "symbol"),
    columns=(
        SYMBOL,
        SESSION,
        Column(
            "regime",
            "text",
            "stressed, buyer_dominated, seller_dominated, normal or unknown. Executors treat unknown like stressed.",
        ),
        Column("since", "day", "Session in which this unbroken run of the regime began."),
        Column("basis", "text", "quotes, or daily_bars: estimates stand in and depth is not judged; see evidence."),
        Column("evidence", "text", "Measure that decided: spread, depth, amihud; or what is missing."),
        Column("spread_ratio", "number", "Spread over its own 20-session norm.", nullable=True),
        Column("depth_ratio", "number", "Bid depth over bid and ask depth, 0 to 1; quotes only.", nullable=True),
        Column("amihud_ratio", "number", "20-session illiquidity over its own year's median.", nullable=True),
        KNOWABLE_AT,
    ),
)
