"""The pictures: that colours stand where the regimes are, and that the same labels make the same bytes."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from PIL import Image

from tests.features.frames import days_from
from trading_assets.regimes.history import transitions
from trading_assets.regimes.plots import COLOURS, regime_background, transition_map
from trading_assets.regimes.rules import REGIMES

Pixels = npt.NDArray[np.uint8]


def labelled(regimes: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": ["AAA"] * len(regimes), "session": days_from(len(regimes)), "regime": list(regimes)})


def closes(count: int) -> pl.DataFrame:
    return pl.DataFrame({"session": days_from(count), "close": np.linspace(100, 120, count)})


def pixels(png: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def shaded(regime: str) -> Pixels:
    """The colour of a band: 45 % of the regime's over white."""
    full = np.array([int(COLOURS[regime][at : at + 2], 16) for at in (1, 3, 5)])
    return np.asarray((0.45 * full + 0.55 * 255).round(), dtype=np.uint8)


def near(picture: Pixels, colour: Pixels) -> npt.NDArray[np.bool_]:
    return np.asarray((np.abs(picture.astype(int) - colour.astype(int)) <= 6).all(axis=2))


def band(picture: Pixels, regime: str) -> npt.NDArray[np.intp]:
    """The columns in whose upper half the regime's colour stands."""
    upper = near(picture, shaded(regime))[40 : picture.shape[0] // 2]
    return np.flatnonzero(upper.sum(axis=0) > 20)


def test_each_regime_has_its_band_in_order_of_time() -> None:
    labels = labelled([name for name in REGIMES for _ in range(30)])
    picture = pixels(regime_background(closes(150), labels, title="AAA"))
    middles = [float(np.median(band(picture, name))) for name in REGIMES]
    assert middles == sorted(middles)
    assert all(band(picture, name).size > 80 for name in REGIMES)


def test_a_regime_that_does_not_occur_has_no_band() -> None:
    picture = pixels(regime_background(closes(60), labelled(["ranging"] * 60), title="AAA"))
    assert band(picture, "ranging").size > 400
    assert band(picture, "trending_down").size == 0


def test_sessions_without_a_label_stay_white() -> None:
    picture = pixels(regime_background(closes(120), labelled(["ranging"] * 60), title="AAA"))
    assert 250 < band(picture, "ranging").size < 500


def test_every_regime_stands_in_the_legend_even_if_it_does_not_occur() -> None:
    picture = pixels(regime_background(closes(60), labelled(["ranging"] * 60), title="AAA"))
    legend = picture[-40:]
    assert all(near(legend, shaded(name)).sum() > 50 for name in REGIMES)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_few_sessions_make_a_picture(count: int) -> None:
    picture = pixels(regime_background(closes(count), labelled(["trending_up"] * count), title="AAA"))
    assert band(picture, "trending_up").size > 400


def test_the_same_labels_make_the_same_bytes() -> None:
    labels = labelled(["ranging"] * 20 + ["trending_up"] * 20)
    first, second = (regime_background(closes(40), labels, title="AAA") for _ in range(2))
    assert first == second
    assert first != regime_background(closes(40), labelled(["ranging"] * 40), title="AAA")
    assert len(first) < 60_000


def test_the_map_is_darkest_where_regimes_stay() -> None:
    labels = labelled([name for name in REGIMES for _ in range(30)] * 2)
    picture = pixels(transition_map(transitions(labels), title="What followed what")).astype(int).sum(axis=2)
    dark = np.argwhere(picture < 250)
    assert np.corrcoef(dark[:, 0], dark[:, 1])[0, 1] > 0.9, "dark cells lie on the falling diagonal"


def test_the_map_shows_a_regime_that_was_left_only_once_and_one_that_never_occurred() -> None:
    steps = transitions(labelled(["ranging"] * 50 + ["trending_up"]))
    first, second = transition_map(steps, title="T"), transition_map(steps.head(1), title="T")
    assert first != second
    assert transition_map(steps.clear(), title="T").startswith(b"\x89PNG")
