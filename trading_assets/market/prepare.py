"""Bars prepared for judgement: each row carries what a rule needs from its neighbours, so that rules look at one row.

Besides the bars there is a row for each session that a series lacks (`sessions_missing`, `life`) and for each session that
has no bar of any series (`feed`). A series is a symbol, or a symbol at one frequency.
"""

import math
from collections.abc import Sequence

import polars as pl

from trading_assets.core.calendar import Calendar
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market import standstill
from trading_assets.market.hours import BAR_LENGTH, session_hours
from trading_assets.market.model import DAILY_BARS, INTRADAY_BARS
from trading_assets.market.universe.listings import Listed

SILENT_SESSIONS_MAX = 5
RETURN_SESSIONS_MIN = 20
MOVE_MAX = 0.25
FACTOR_MAX = 4.0
ACTIVITY_BUSY = 5.0
COVERAGE_MIN = 0.5
COVERAGE_USUAL = 0.95
UNIT_FACTOR = 100.0
UNIT_SLACK = 0.15
SPLIT_SEEN_MIN = 0.25
_SPLIT_LOG_MIN = 0.2
_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume")
_ACTIVITY_WINDOW = 20
_ACTIVITY_SAMPLES_MIN = 5
_LIVES = {"series": pl.String(), "born": pl.Date(), "ended": pl.Date()}


def daily(
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    *,
    span: Span,
    calendar: Calendar,
    instruments: Sequence[Listed] = (),
) -> pl.DataFrame:
    """Rows to judge for the span, numbered by `row`; history before the span only feeds the derived columns."""
    sessions = _sessions(bars, span, calendar)
    lives = _lives(instruments)
    seen = _dated(bars, DAILY_BARS, sessions).with_columns(series="symbol")
    firsts = _firsts(seen, "session").join(_actions_on_bars(seen, actions), on=("series", "session"), how="left")
    held = firsts.with_columns(pl.col("ratio").fill_null(1.0), pl.col("amount").fill_null(0.0))
    gap = pl.col("number") - pl.col("number").shift(1).over("series")
    stretch = (gap > SILENT_SESSIONS_MAX).fill_null(value=False).cum_sum().over("series")
    columns = (
        _moves(held.with_columns(stretch=stretch), within=("series", "stretch")),
        _returns(held, lives),
        standstill.repeated(held, within="series"),
        standstill.daily_twins(held),
        standstill.still_sessions(held),
        standstill.actions_in_a_row(held),
    )
    described = _timed(_described(seen, "session"), end=pl.col("session_close"))
    off_open = (pl.col("start") - pl.col("session_open")).dt.total_seconds()
    return _rows(described.with_columns(off_open_seconds=off_open), columns, sessions, span, lives)


def intraday(bars: pl.DataFrame, *, span: Span, calendar: Calendar) -> pl.DataFrame:
    """Rows to judge for the span, numbered by `row`; moves are judged between the bars of one session only."""
    sessions = _sessions(bars, span, calendar)
    seen = _dated(bars, INTRADAY_BARS, sessions).with_columns(series=pl.format("{} {}", "symbol", "frequency"))
    held = _firsts(seen, "start").with_columns(ratio=1.0, amount=0.0)
    columns = (
        _moves(held, within=("series", "session")),
        _coverage(seen),
        standstill.repeated_within_session(held),
        standstill.still_series(held),
    )
    length = _length_seconds() * pl.duration(seconds=1)
    described = _timed(_described(seen, "start"), end=pl.min_horizontal(pl.col("start") + length, "session_close"))
    return _rows(_placed(described), columns, sessions, span, _lives(()))


def _sessions(bars: pl.DataFrame, span: Span, calendar: Calendar) -> pl.DataFrame:
    days = bars["session"].sort()
    first = min(span.first, days[0]) if days.len() else span.first
    return session_hours(calendar, first, span.last).with_row_index("number").cast({"number": pl.Int64()})


def _dated(bars: pl.DataFrame, table: Table, sessions: pl.DataFrame) -> pl.DataFrame:
    schema = dict(table.polars_schema())
    if dict(bars.schema) != schema:
        raise TableMismatch(f"bars to judge do not fit table {table.name}", value=bars.schema, bound=schema)
    known = bars.filter(pl.col("session") <= sessions["session"][-1]).sort(table.key, maintain_order=True)
    strangers = known.join(sessions, on="session", how="anti")
    if strangers.height:
        raise TableMismatch("bars to judge hold a day without a session", value=strangers["session"][0])
    return known.join(sessions, on="session", maintain_order="left").with_row_index("bar")


def _firsts(seen: pl.DataFrame, time: str) -> pl.DataFrame:
    """Without copies of a bar, each series in order of time."""
    return seen.unique(("series", time), keep="first", maintain_order=True).sort("series", time)


def _described(seen: pl.DataFrame, time: str) -> pl.DataFrame:
    finite = pl.col(*_NUMBERS).is_finite().fill_null(value=False)
    return seen.with_columns(
        unusable_numbers=pl.sum_horizontal((~finite).cast(pl.Int64())),
        lowest_price=pl.min_horizontal(*_PRICES),
        higher_end=pl.max_horizontal("open", "close"),
        lower_end=pl.min_horizontal("open", "close"),
        copies=pl.len().over("series", time).cast(pl.Int64()),
    )


def _timed(described: pl.DataFrame, *, end: pl.Expr) -> pl.DataFrame:
    """How many seconds before its end a bar counts as knowable; 0 for a sound bar."""
    early = (end - pl.col("knowable_at")).dt.total_seconds()
    return described.with_columns(known_early_seconds=pl.max_horizontal(early, 0))


def _lives(instruments: Sequence[Listed]) -> pl.DataFrame:
    """Columns series, born and ended (null where nothing is declared), one row for each instrument."""
    rows = [(one.symbol, one.first_session, one.last_session) for one in instruments]
    return pl.DataFrame(rows, schema=_LIVES, orient="row")


def _returns(held: pl.DataFrame, lives: pl.DataFrame) -> pl.DataFrame:
    """`back_after`: sessions of a silence that ends here and that no declared life explains, else 0; and the place in its life."""
    declared = held.join(lives, on="series", how="left", maintain_order="left")
    seen_before = pl.col("session").shift(1).over("series")
    silence = (pl.col("number") - pl.col("number").shift(1).over("series") - 1).fill_null(0)
    same_life = (seen_before >= pl.col("born")).fill_null(value=True)
    place = (
        pl.when(pl.col("session") < pl.col("born"))
        .then(pl.format("before its declared first session {}", "born"))
        .when(pl.col("session") > pl.col("ended"))
        .then(pl.format("after its declared last session {}", "ended"))
        .otherwise(pl.lit("within"))
    )
    return declared.select(
        "bar",
        seen_before=seen_before,
        back_after=pl.when(same_life & (silence >= RETURN_SESSIONS_MIN)).then(silence).otherwise(0),
        declared_life=place,
    )


def _actions_on_bars(seen: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Ratio and amount of the actions in force between the bar before and the bar of a session."""
    days = seen.select("series", "session", bar_session="session").unique().sort("session")
    dated = actions.select("session", "ratio", "amount", series="symbol").sort("session")
    met = dated.join_asof(days, on="session", by="series", strategy="forward", check_sortedness=False)
    return (
        met.drop_nulls("bar_session")
        .group_by("series", session="bar_session")
        .agg(pl.col("ratio").product(), pl.col("amount").sum())
    )


def _moves(held: pl.DataFrame, *, within: Sequence[str]) -> pl.DataFrame:
    """For each bar: the close that it is measured against, its move from there, and how busy it was.

    `reference` is the close before, less the dividend, in the new share count. `activity` compares volume and turnover with
    their medians of the 20 bars before and takes the smaller: a split that nobody recorded multiplies volume but not
    turnover, a price that is wrong multiplies turnover but not volume. `units` compares with the median of up to 20 closes
    before: a feed that changes between cents and dollars stays conspicuous for days. `split_seen` is the part of a recorded
    split that the price shows.
    """
    sound = pl.when(pl.col("close").is_finite() & (pl.col("close") > 0)).then("close")
    before = sound.forward_fill().shift(1).over(within)
    shares = pl.col("volume").fill_nan(None) / pl.col("ratio").cum_prod().over("series")
    turnover = pl.col("volume").fill_nan(None) * sound
    factor = pl.when(pl.col("reference") > 0).then(sound / pl.col("reference")).otherwise(float("inf"))
    value = sound * pl.col("ratio").cum_prod().over("series")
    usual = value.shift(1).rolling_median(_ACTIVITY_WINDOW, min_samples=1).over(within)
    measured = held.with_columns(
        before=before,
        usual_close=usual / pl.col("ratio").cum_prod().over("series"),
        split_seen=_split_seen(sound, before),
        reference=(before - pl.col("amount")) / pl.col("ratio"),
        activity=pl.min_horizontal(_against_usual(shares), _against_usual(turnover)).fill_null(0.0),
    ).with_columns(factor=pl.when(pl.col("reference").is_not_null() & sound.is_not_null()).then(factor))
    possible = pl.col("factor").is_between(1 / FACTOR_MAX, FACTOR_MAX)
    busy = pl.col("activity") >= ACTIVITY_BUSY
    move = pl.col("factor") - 1
    units = _units(sound / pl.col("usual_close"))
    return measured.select(
        "bar",
        "before",
        "reference",
        "activity",
        "ratio",
        "usual_close",
        "split_seen",
        units=units,
        factor=pl.when(units == "usual").then("factor"),
        move=move,
        move_ordinary=pl.when(possible & ~busy).then(move),
        move_busy=pl.when(possible & busy).then(move),
    )


def _split_seen(sound: pl.Expr, before: pl.Expr) -> pl.Expr:
    """Which part of a recorded split the close shows: 1 for all of it, 0 for none; null where no split of size is recorded.

    A ratio within a fifth of 1 in logarithms (a spin-off, a class settlement) cannot be told from an ordinary day.
    """
    recorded = pl.col("ratio").log()
    return pl.when(recorded.abs() >= _SPLIT_LOG_MIN).then((before / sound).log() / recorded)


def _units(level: pl.Expr) -> pl.Expr:
    """Whether a close stands at 100 times its usual level, or at a hundredth of it."""
    distance = level.log() / math.log(UNIT_FACTOR)
    slack = math.log(1 + UNIT_SLACK) / math.log(UNIT_FACTOR)
    return (
        pl.when((distance + 1).abs() <= slack)
        .then(pl.lit("too small"))
        .when((distance - 1).abs() <= slack)
        .then(pl.lit("too large"))
        .otherwise(pl.lit("usual"))
    )


def _against_usual(amount: pl.Expr) -> pl.Expr:
    usual = amount.shift(1).rolling_median(_ACTIVITY_WINDOW, min_samples=_ACTIVITY_SAMPLES_MIN)
    return (amount / usual).over("series")


def _placed(seen: pl.DataFrame) -> pl.DataFrame:
    """Where a bar starts: its place relative to the session, and its distance from the grid of its frequency."""
    seconds = (pl.col("start") - pl.col("session_open")).dt.total_seconds()
    inside = pl.col("start").is_between(pl.col("session_open"), pl.col("session_close"), closed="left")
    return seen.with_columns(
        place=pl.when(inside).then(pl.lit("inside")).otherwise(pl.lit("outside")),
        off_grid_seconds=seconds % _length_seconds(),
    )


def _coverage(seen: pl.DataFrame) -> pl.DataFrame:
    """The share of a session's possible bars that exist, beside the first bar of the series in that session."""
    open_seconds = (pl.col("session_close") - pl.col("session_open")).dt.total_seconds().first()
    return (
        seen.group_by("series", "session")
        .agg(
            pl.col("bar").min(),
            bars_found=pl.col("start").n_unique().cast(pl.Int64()),
            bars_possible=(open_seconds / _length_seconds().first()).ceil().cast(pl.Int64()),
        )
        .with_columns(coverage=pl.col("bars_found") / pl.col("bars_possible"))
        .select(
            "bar",
            "bars_found",
            "bars_possible",
            "coverage",
            coverage_usable=pl.when(pl.col("coverage") >= COVERAGE_MIN).then("coverage"),
        )
    )


def _length_seconds() -> pl.Expr:
    lengths = {frequency: int(length.total_seconds()) for frequency, length in BAR_LENGTH.items()}
    return pl.col("frequency").replace_strict(lengths, return_dtype=pl.Int64())


def _rows(
    described: pl.DataFrame,
    columns: Sequence[pl.DataFrame],
    sessions: pl.DataFrame,
    span: Span,
    lives: pl.DataFrame,
) -> pl.DataFrame:
    empty = sessions.join(described, on="session", how="anti").select(
        "session", series=pl.lit("every symbol"), feed=pl.lit("no bars at all")
    )
    ended = pl.col("ended").is_not_null() & (pl.col("session") > pl.col("ended"))
    absent = _absent(described, sessions).join(lives, on="series", how="left").filter(~ended).drop("born", "ended")
    told = described
    for more in columns:
        told = told.join(more, on="bar", how="left")
    told = pl.concat([told, absent.join(empty, on="session", how="anti"), empty], how="diagonal_relaxed")
    return (
        told.filter(pl.col("session").is_between(span.first, span.last))
        .sort("session", "series", "bar", maintain_order=True)
        .with_columns(
            pl.col("feed").fill_null("alive"),
            pl.col("sessions_missing").fill_null(0),
            pl.col("life").fill_null("going on"),
        )
        .with_row_index("row")
    )


def _absent(described: pl.DataFrame, sessions: pl.DataFrame) -> pl.DataFrame:
    """The sessions that a series lacks after its first bar: missing for five in a row, then the series has ended."""
    after_the_last = sessions.height
    present = described.select("series", "number").unique().sort("series", "number")
    upto = pl.min_horizontal("next", pl.col("number") + SILENT_SESSIONS_MAX + 2)
    lacking = (
        present.with_columns(next=pl.col("number").shift(-1).over("series").fill_null(after_the_last))
        .filter(pl.col("next") - pl.col("number") > 1)
        .with_columns(missed=pl.int_ranges(pl.col("number") + 1, upto))
        .explode("missed")
        .with_columns(silent=pl.col("missed") - pl.col("number"))
    )
    ended = pl.col("silent") > SILENT_SESSIONS_MAX
    return lacking.join(sessions, left_on="missed", right_on="number").select(
        "series",
        "session",
        sessions_missing=pl.when(ended).then(0).otherwise("silent"),
        life=pl.when(ended).then(pl.lit("ended")).otherwise(pl.lit("going on")),
    )
