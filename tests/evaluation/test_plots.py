"""The report's pictures, read back pixel by pixel where a claim can be checked so."""

import io

from PIL import Image

from tests.evaluation.books import CASH, Book, account, account_row, benchmark, tiny, trade_row, trades, walk
from trading_assets.evaluation.plots import plots_of
from trading_assets.evaluation.summary import records_by

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


def drawn(book: Book) -> dict[str, bytes]:
    return plots_of(
        book.account,
        book.benchmark,
        starting_cash=CASH,
        strategies=records_by(book.trades, "strategy"),
        regimes=records_by(book.trades, "regime"),
    )


def pixels(content: bytes) -> dict[tuple[int, int, int], int]:
    """How many pixels have each colour."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return {colour: count for count, colour in picture.getcolors(1 << 24) or () if isinstance(colour, tuple)}  # type: ignore[misc]


def near(content: bytes, wanted: tuple[int, int, int]) -> int:
    """Pixels within a small distance of a colour: the palette may move it a little."""
    counts = pixels(content).items()
    return sum(n for colour, n in counts if max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 12)


def test_the_desk_is_blue_and_buy_and_hold_is_orange() -> None:
    equity = drawn(walk(60))["equity.png"]
    assert near(equity, BLUE) > 100
    assert near(equity, ORANGE) > 100


def test_without_a_benchmark_nothing_is_orange() -> None:
    pictures = drawn(tiny().with_(benchmark=tiny().benchmark.clear()))
    assert near(pictures["equity.png"], ORANGE) == near(pictures["drawdown.png"], ORANGE) == 0


def test_gains_are_blue_and_losses_orange() -> None:
    rows = [trade_row(1, 100, strategy="a", regime="r"), trade_row(2, -100, strategy="b", regime="r")]
    bars = drawn(tiny().with_(trades=trades(*rows)))["pnl_by_strategy.png"]
    assert near(bars, BLUE) > 1000
    assert near(bars, ORANGE) > 1000
    only_gains = drawn(tiny().with_(trades=trades(rows[0])))["pnl_by_strategy.png"]
    assert near(only_gains, ORANGE) == 0


def test_a_single_session_is_a_visible_point() -> None:
    one = tiny().with_(account=account(account_row(1, 100_000)), benchmark=benchmark())
    assert near(drawn(one)["equity.png"], BLUE) > 30


def test_the_order_of_rows_changes_no_picture() -> None:
    book = walk(30)
    mixed = book.with_(account=book.account.reverse(), trades=book.trades.reverse(), benchmark=book.benchmark.reverse())
    assert drawn(mixed) == drawn(book)


def test_more_groups_make_a_taller_picture() -> None:
    pictures = drawn(walk(60))
    heights = {name: Image.open(io.BytesIO(pictures[name])).height for name in pictures}
    assert heights["pnl_by_regime.png"] > heights["pnl_by_strategy.png"]
