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
