"""The tables of features. Indicator names say definition and periods."""

from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table


def _indicator(name: str, doc: str) -> Column:
    return Column(name, "number", doc + " Empty until its window is full.", nullable=True)


INDICATOR_COLUMNS = (
    _indicator("sma_20", "Simple mean of the last 20 closes, USD."),
    _indicator("sma_50", "Simple mean of the last 50 closes, USD."),
    _indicator("sma_200", "Simple mean of the last 200 closes, USD."),
    _indicator("ema_12", "Exponential mean, 12, seeded with the simple mean, USD."),
    _indicator("ema_26", "Exponential mean, 26, seeded with the simple mean, USD."),
    _indicator("ema_50", "Exponential mean, 50, seeded with the simple mean, USD."),
    _indicator("macd_12_26_9", "MACD line as TA-Lib seeds it (both means start on bar 26), USD."),
    _indicator("macd_signal_12_26_9", "Signal line, USD."),
    _indicator("macd_histogram_12_26_9", "Line minus signal, USD."),
    _indicator("rsi_14", "Relative strength index, Wilder, 0 to 100."),
    _indicator("bb_upper_20_2", "Upper Bollinger band (population deviation), USD."),
    _indicator("bb_middle_20_2", "Middle Bollinger band, USD."),
    _indicator("bb_lower_20_2", "Lower Bollinger band, USD."),
    _indicator("atr_14", "Average true range, Wilder, USD."),
    _indicator("adx_14", "Average directional index, Wilder, 0 to 100."),
    _indicator("vwap_20", "Mean of (high+low+close)/3 over 20 sessions weighted by volume, USD."),
    _indicator("high_20", "Highest high of the last 20 sessions, this one included, USD."),
    _indicator("low_20", "Lowest low of the last 20 sessions, this one included, USD."),
    _indicator("high_252", "Highest high of the last 252 sessions, USD."),
    _indicator("low_252", "Lowest low of the last 252 sessions, USD."),
    _indicator("vol_20", "Sample deviation of 20 daily log returns times sqrt(252), as a fraction."),
    _indicator("volume_mean_20", "Mean volume of the last 20 sessions, shares."),
    _indicator("mom_252_21", "Return from 252 to 21 sessions ago (12-1 momentum), as a fraction."),
)

INDICATORS = Table(
    name="indicators",
    doc="Indicators of one symbol up to a session's close; prices in the share count of that session (split-adjusted as of it).",
    key=("session", "symbol"),
    columns=(
        SYMBOL,
        SESSION,
        Column("close", "number", "Close of the session, USD, as traded."),
        *INDICATOR_COLUMNS,
        KNOWABLE_AT,
    ),
)

BREADTH = Table(
    name="breadth",
    doc="Participation over all symbols of the universe in one session.",
    key=("session",),
    columns=(
        SESSION,
        Column("symbols", "count", "Symbols with a bar in this session and the one before."),
        Column("advances", "count", "Symbols that closed higher."),
        Column("declines", "count", "Symbols that closed lower."),
        Column("new_highs_252", "count", "Symbols whose high is their highest of 252 sessions."),
        Column("new_lows_252", "count", "Symbols whose low is their lowest of 252 sessions."),
        Column(
            "up_volume_share",
            "number",
            "Volume of the advances over that of all symbols counted, 0 to 1.",
            nullable=True,
        ),
        Column("above_sma_50_share", "number", "Share of symbols closing above their 50-session mean.", nullable=True),
        Column(
            "above_sma_200_share", "number", "Share of symbols closing above their 200-session mean.", nullable=True
        ),
        KNOWABLE_AT,
    ),
)

INTRADAY_FEATURE_COLUMNS = (
    _indicator("vwap_session", "Mean of (high+low+close)/3 weighted by volume since the session's first bar, USD."),
    _indicator("vwap_20", "The same over the last 20 bars of this session, USD."),
    _indicator("return_from_open", "Close over the open of the session's first bar, minus 1."),
    _indicator("opening_range_high_30", "Highest high of the session's first 30 minutes, USD."),
    _indicator("opening_range_low_30", "Lowest low of the session's first 30 minutes, USD."),
    _indicator("above_vwap", "1 if the close is above vwap_session, else 0."),
    _indicator("above_opening_range", "1 if the close is above opening_range_high_30, else 0."),
    _indicator("below_opening_range", "1 if the close is below opening_range_low_30, else 0."),
    _indicator("volume_ratio", "Volume since the open over its mean at this minute in up to 20 sessions before."),
    _indicator("atr_14", "Average true range of the session's own bars, Wilder, USD."),
    _indicator("rsi_14", "Relative strength index of the session's own bars, Wilder, 0 to 100."),
    _indicator("spread_bp", "Mean quoted spread within the bar, in basis points of the middle."),
    _indicator("spread_ratio_20", "spread_bp over its median at this minute in up to 20 sessions before."),
    _indicator("depth_imbalance", "Shares bid over shares bid and offered within the bar, 0 to 1."),
)

INTRADAY_FEATURES = Table(
    name="intraday_features",
    doc="What one intraday bar and the bars of its session before it say; prices as traded; knowable at the bar's end.",
    key=("session", "symbol", "frequency", "start"),
    columns=(
        SYMBOL,
        SESSION,
        Column("frequency", "text", "1h, 5m or 1m."),
        Column("start", "instant", "UTC start of the bar."),
        Column("close", "number", "Close of the bar, USD, as traded."),
        *INTRADAY_FEATURE_COLUMNS,
        KNOWABLE_AT,
    ),
)

LIQUIDITY_COLUMNS = (
    Column(
        "spread_bp",
        "number",
        "Mean quoted spread of the session in basis points of the middle; with daily bars the Corwin-Schultz estimate.",
        nullable=True,
    ),
    _indicator("spread_norm_20", "Median spread_bp of the 20 sessions of the same basis before this one."),
    _indicator("spread_ratio", "spread_bp over spread_norm_20."),
    Column("depth_ratio", "number", "Shares bid over shares bid and offered, session means, 0 to 1.", nullable=True),
    _indicator("amihud_20", "Mean of |return| over USD volume in 20 sessions, times 1e6."),
    _indicator("participation", "Volume over its mean of the 20 sessions before this one."),
    _indicator("dollar_volume_20", "Mean of close times volume in the last 20 sessions, this one included, USD."),
)

LIQUIDITY = Table(
    name="liquidity",
    doc="What trading one symbol costs and how much of it trades, as of a session's close.",
    key=("session", "symbol"),
    columns=(
        SYMBOL,
        SESSION,
        Column("basis", "text", "What spread_bp is made from: quotes or daily_bars."),
        *LIQUIDITY_COLUMNS,
        KNOWABLE_AT,
    ),
)

CORRELATION_COLUMNS = (
    _indicator("correlation_20", "Correlation of 20 daily log returns, -1 to 1."),
    _indicator("correlation_120", "Correlation of 120 daily log returns, -1 to 1."),
    _indicator("divergence", "Fisher z of correlation_20 minus that of correlation_120, in standard errors."),
    _indicator("gap_z", "Spread ln a - beta ln b: deviations from its mean of 60 sessions."),
    _indicator("half_life_sessions", "Sessions in which half the spread's deviation decays; empty if it does not."),
    _indicator("convergence_odds", "Share of past gaps beyond 2 that came back inside 0.5 within 20 sessions, 0 to 1."),
    _indicator("convergence_low", "Lower end of the 95 % Wilson interval of convergence_odds."),
    _indicator("convergence_high", "Upper end of the 95 % Wilson interval of convergence_odds."),
)

CORRELATIONS = Table(
    name="correlations",
    doc="How two symbols moved together up to a session's close, and how their gaps ended before it.",
    key=("session", "symbol_a", "symbol_b"),
    columns=(
        Column("symbol_a", "text", "The symbol that comes first in the alphabet."),
        Column("symbol_b", "text", "The other symbol."),
        SESSION,
        *CORRELATION_COLUMNS,
        Column("episodes", "count", "Past gaps whose end was known before this session."),
        KNOWABLE_AT,
    ),
)
