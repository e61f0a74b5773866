"""A folder of CSV or Parquet files as a source of bars; docs/market.md describes the files.

A file that cannot be read as bars is refused with its name, row and column. Wrong market data (a high below a low, a negative or
missing price, a missing session) is not this module's to judge: it is passed on, and the quality gate speaks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from resources.market_data import stamps
from resources.market_data.rows import VALUES, action_rows, daily_rows, intraday_rows, not_empty, within
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Span
from trading_assets.market.hours import BAR_LENGTH
from trading_assets.market.model import Frequency
from trading_assets.market.ports import EmptyAnswer, MalformedAnswer, UnknownSymbol, UnsupportedRequest

_NAME: Final = "files"
_SUFFIXES = (".csv", ".parquet")
_KINDS = ("split", "cash_dividend")


class FileMarketData:
    """Bars and actions of a folder, read anew at every request."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigurationError("the folder of provider files does not exist", value=root, hint="--path DIR")
        self._root = root

    @property
    def name(self) -> str:
        """`files`."""
        return _NAME

    def symbols(self) -> tuple[str, ...]:
        """All symbols with a file of bars, sorted."""
        paths = (path for folder in self._folders() for path in folder.iterdir() if path.suffix in _SUFFIXES)
        return tuple(sorted({path.stem for path in paths}))

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """Sessions of the span that the symbol's file holds; EmptyAnswer when there is none, or no such file."""
        table = self._bars_table(symbol, frequency)
        rows = _daily(table, symbol) if frequency == "1d" else _intraday(table, symbol, frequency)
        return not_empty(within(rows, span), provider=_NAME, symbol=symbol, frequency=frequency, span=span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of `actions/<SYMBOL>.csv`; without that file there was no action."""
        self._refuse_unknown(symbol)
        found = self._found(self._root / "actions", symbol)
        actions = _actions(_File.read(self._root, found)) if found else _NO_ACTIONS
        return within(action_rows(actions, symbol=symbol, source=_NAME), span)

    def _bars_table(self, symbol: str, frequency: Frequency) -> "_File":
        self._refuse_unknown(symbol)
        folder = self._root / "daily" if frequency == "1d" else self._root / "intraday" / frequency
        if not folder.is_dir():
            raise UnsupportedRequest(f"files has no {frequency} bars", bound=folder.relative_to(self._root))
        found = self._found(folder, symbol)
        if found is None:
            raise EmptyAnswer(f"files has no {frequency} bars of {symbol}", bound=folder.relative_to(self._root))
        return _File.read(self._root, found)

    def _found(self, folder: Path, symbol: str) -> Path | None:
        paths = [path for suffix in _SUFFIXES if (path := folder / f"{symbol}{suffix}").is_file()]
        if len(paths) > 1:
            names = " and ".join(str(path.relative_to(self._root)) for path in paths)
            raise MalformedAnswer(f"files: two sources of {symbol} overlap: {names}", hint="keep one of them")
        return paths[0] if paths else None

    def _refuse_unknown(self, symbol: str) -> None:
        is_plain_name = Path(symbol).name == symbol
        names = [f"{symbol}{suffix}" for suffix in _SUFFIXES]
        if not is_plain_name or not any((folder / name).is_file() for folder in self._folders() for name in names):
            raise UnknownSymbol(f"files has no file of {symbol}", bound=", ".join(self.symbols()) or "no file at all")

    def _folders(self) -> list[Path]:
        folders = (self._root / "daily", *(self._root / "intraday" / frequency for frequency in BAR_LENGTH))
        return [folder for folder in folders if folder.is_dir()]


_NO_ACTIONS = pl.DataFrame(
    schema={"session": pl.Date(), "kind": pl.String(), "ratio": pl.Float64(), "amount": pl.Float64()}
)


@dataclass(frozen=True, slots=True)
class _File:
    """The columns of one file, with the number that each row has in it."""

    name: str
    frame: pl.DataFrame

    @classmethod
    def read(cls, root: Path, path: Path) -> "_File":
        name = path.relative_to(root).as_posix()
        first_row = 2 if path.suffix == ".csv" else 1
        try:
            frame = pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as broken:
            raise MalformedAnswer(f"files: {name} cannot be read: {broken}") from broken
        return cls(name, frame.with_row_index("file_row", offset=first_row))

    def require(self, columns: Sequence[str]) -> None:
        """MalformedAnswer when a column is missing; more columns are allowed."""
        missing = [column for column in columns if column not in self.frame.columns]
        if missing:
            raise MalformedAnswer(
                f"files: {self.name} lacks column {', '.join(missing)}",
                value=", ".join(self.frame.columns[1:]),
                bound=", ".join(columns),
            )

    def refuse(self, wrong: pl.Series, column: str, reason: str) -> None:
        """MalformedAnswer that names the first row for which `wrong` is true."""
        if wrong.any():
            row = self.frame.filter(wrong).row(0, named=True)
            where = f"files: {self.name}, row {row['file_row']}, column {column}: {reason}"
            raise MalformedAnswer(where, value=row[column])

    def numbers(self, column: str) -> pl.Series:
        """A column as floats; an empty cell is NaN, any other text that is no number is refused."""
        raw = self.frame[column]
        if not (raw.dtype.is_numeric() or raw.dtype == pl.String()):
            raise MalformedAnswer(f"files: {self.name}, column {column}: holds no numbers", value=raw.dtype)
        parsed = raw.str.strip_chars().str.to_lowercase() if raw.dtype == pl.String() else raw
        blank = raw.is_null() if raw.dtype != pl.String() else raw.fill_null("").str.strip_chars() == ""
        floats = parsed.cast(pl.Float64(), strict=False)
        self.refuse(floats.is_null() & ~blank, column, "not a number")
        return floats.fill_null(float("nan"))

    def stamped(self, column: str, parse: Callable[[pl.Series], pl.Series], reason: str) -> pl.Series:
        """A column of times as `parse` reads it; what it cannot read is refused with the reason."""
        parsed = parse(self.frame[column])
        self.refuse(parsed.is_null(), column, reason)
        return parsed


def _daily(file: _File, symbol: str) -> pl.DataFrame:
    file.require(("date", *VALUES))
    days = file.stamped("date", stamps.days, "not a date like 2014-06-09")
    file.refuse(days.is_duplicated(), "date", "the date stands twice")
    _refuse_closed_days(file, days, "date")
    return daily_rows(_prices(file).with_columns(days.alias("session")), symbol=symbol, source=_NAME)


def _intraday(file: _File, symbol: str, frequency: Frequency) -> pl.DataFrame:
    file.require(("time", *VALUES))
    starts = file.stamped(
        "time", stamps.starts, "not a time like 2014-06-09T09:30:00, or one that clocks skip or repeat"
    )
    file.refuse(starts.is_duplicated(), "time", "the time stands twice")
    _refuse_closed_days(file, starts.dt.convert_time_zone("America/New_York").dt.date(), "time")
    prices = _prices(file).with_columns(starts.alias("start"))
    return intraday_rows(prices, symbol=symbol, frequency=frequency, source=_NAME)


def _actions(file: _File) -> pl.DataFrame:
    file.require(("date", "kind", "ratio", "amount"))
    days = file.stamped("date", stamps.days, "not a date like 2014-06-09")
    kinds = file.frame["kind"]
    file.refuse(~kinds.is_in(_KINDS).fill_null(value=False), "kind", "neither split nor cash_dividend")
    is_split = kinds == "split"
    ratios, amounts = file.numbers("ratio"), file.numbers("amount")
    file.refuse(
        is_split & ~(ratios.is_finite() & (ratios > 0)), "ratio", "a split needs new shares per old share, above 0"
    )
    file.refuse(~is_split & ~(amounts.is_finite() & (amounts > 0)), "amount", "a dividend needs USD per share, above 0")
    _refuse_closed_days(file, days, "date")
    found = pl.DataFrame({"session": days, "kind": kinds, "ratio": ratios, "amount": amounts})
    file.refuse(found.select("session", "kind").is_duplicated(), "date", "the same action stands twice")
    split = pl.col("kind") == "split"
    return found.with_columns(
        ratio=pl.when(split).then("ratio").otherwise(1.0), amount=pl.when(split).then(0.0).otherwise("amount")
    )


def _prices(file: _File) -> pl.DataFrame:
    return pl.DataFrame({column: file.numbers(column) for column in VALUES})


def _refuse_closed_days(file: _File, days: pl.Series, column: str) -> None:
    """Days before and after the calendar's years cannot be asked for, and are left alone."""
    inside = days.is_between(XNYS.first, XNYS.last)
    file.refuse(inside & ~days.is_in(pl.Series(XNYS.days).implode()), column, "the exchange has no session on this day")
