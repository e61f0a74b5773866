"""The report's pictures, read back pixel by pixel where a claim can be checked so."""

import io
from datetime import timedelta
from decimal import Decimal

from PIL import Image

from tests.evaluation.books import CASH, day, walk
from tests.evaluation.reporting.records import nothing, of_book
from trading_assets.evaluation.reporting.plots import (
    Band,
    Bar,
    Curve,
    bars_picture,
    calibration_picture,
    drawdown_picture,
    equity_picture,
    slippage_picture,
)

BLUE, ORANGE, GREEN = (0, 114, 178), (213, 94, 0), (0, 158, 115)
LIMIT = 40_000


def curve(label: str, *equity: int) -> Curve:
    return Curve(label, [day(n) for n in range(1, len(equity) + 1)], [Decimal(each) for each in equity])


def near(content: bytes, wanted: tuple[int, int, int]) -> int:
    """Pixels within a small distance of a colour: the palette may move it a little."""
    counted = Image.open(io.BytesIO(content)).convert("RGB").getcolors(1 << 24) or ()
    found = 0
    for count, colour in counted:
        assert isinstance(colour, tuple)
        found += count if max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 14 else 0
    return found


def test_the_desk_is_blue_and_each_benchmark_has_its_own_colour() -> None:
    lines = [curve("desk", 1, 2, 3), curve("buy and hold", 2, 3, 1), curve("12-1 momentum", 3, 1, 2)]
    for content in (equity_picture(lines, None, Decimal(2)), drawdown_picture(lines, Decimal(2))):
        assert near(content, BLUE) > 300
        assert near(content, ORANGE) > 80
        assert near(content, GREEN) > 80
    alone = equity_picture(lines[:1], None, Decimal(2))
    assert near(alone, ORANGE) == near(alone, GREEN) == 0


def test_the_coins_band_lies_behind_the_desk() -> None:
    desk = curve("desk", 100, 104, 101)
    band = Band(desk.days, [Decimal(90)] * 3, [Decimal(110)] * 3)
    with_band, without = (equity_picture([desk], each, Decimal(100)) for each in (band, None))
    assert near(with_band, (232, 232, 232)) > 4 * max(1, near(without, (232, 232, 232)))
    assert near(with_band, BLUE) > 300


def test_a_single_session_is_a_visible_point() -> None:
    assert near(equity_picture([curve("desk", 100_000)], None, CASH), BLUE) > 30


def test_gains_are_blue_and_losses_orange() -> None:
    both = bars_picture([Bar("a", 100, 3), Bar("b", -100, 2)], "P&L")
    assert near(both, BLUE) > 1000
    assert near(both, ORANGE) > 500
    assert near(bars_picture([Bar("a", 100, 3)], "P&L"), ORANGE) == 0


def test_more_names_make_a_taller_picture_up_to_a_bound() -> None:
    heights = [
        Image.open(io.BytesIO(bars_picture([Bar(f"n{n}", n, 1) for n in range(many)], "P&L"))).height
        for many in (2, 9, 40, 99)
    ]
    assert heights[0] < heights[1] < heights[2] == heights[3]


def test_one_wild_fill_does_not_flatten_the_others() -> None:
    calm = [float(n % 20) for n in range(200)]
    assert near(slippage_picture([*calm, 1e6]), BLUE) > 5000
    assert slippage_picture([2.0, 2.0]).startswith(b"\x89PNG")


def test_calibration_has_a_point_for_each_fifth_that_was_said() -> None:
    low, both = calibration_picture([0.1], [False]), calibration_picture([0.1, 0.9], [False, True])
    assert near(both, BLUE) > 1.5 * near(low, BLUE) > 0
    assert calibration_picture([1.0, 0.0], [True, False]).startswith(b"\x89PNG")


def test_pictures_are_small_and_drawn_without_leaving_anything_behind() -> None:
    from matplotlib import get_backend
    from matplotlib import pyplot as plt

    backend = get_backend()
    plots = of_book(walk(500), 500).report(draws=True).plots
    assert {"equity.png", "drawdown.png", "pnl_by_strategy.png", "pnl_by_regime.png"} <= plots.keys()
    assert max(map(len, plots.values())) < LIMIT
    assert (plt.get_fignums(), get_backend()) == ([], backend)


def test_without_anything_to_show_there_is_no_picture() -> None:
    assert nothing(day(1) + timedelta(days=1)).report(draws=True).plots == {}
