"""How well cointegrated pairs are found: `python -m bench.pairs [--json]` ends with one JSON line.

On seeded random walks without any link it counts finds by chance, for one ordering, for either and for both; on the simulated
market it counts which of the pairs planted there are found among forty securities, and how many others, with and without a
correction.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.timing import emit
from simulation.market.market import SimulatedMarket
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.model import CORPORATE_ACTIONS
from trading_assets.market.universe.config import Pairs, Universes
from trading_assets.market.universe.membership import Facts
from trading_assets.market.universe.model import REFERENCE_FACTS
from trading_assets.market.universe.pairs import PairSnapshot, cointegrated_pairs, engle_granger, pairs_need_from

WALKS = 500
SEEDS = (7, 9, 11)
SYMBOLS = tuple(f"SIM{number:03d}" for number in range(10, 50))
SESSIONS = tuple(date(year, month, 1) for year in (2014, 2016, 2018) for month in (3, 9))
CORRECTIONS = ("none", "benjamini_hochberg", "holm")


def by_chance(count: int = WALKS) -> Mapping[str, float]:
    """Shares of pairs of independent random walks that are found at 5 %, and seconds per pair."""
    dice = np.random.default_rng(1)
    walks: NDArray[np.float64] = np.cumsum(dice.normal(0.0, 0.01, (count, 2, 252)), axis=2)
    begun = time.perf_counter()
    values = np.array([(engle_granger(a, b), engle_granger(b, a)) for a, b in walks])
    seconds = (time.perf_counter() - begun) / count
    found = values <= 0.05
    return {
        "chance_one_ordering": round(float(found[:, 0].mean()), 3),
        "chance_either_ordering": round(float(found.any(axis=1).mean()), 3),
        "chance_both_orderings": round(float(found.all(axis=1).mean()), 3),
        "seconds_per_pair": round(seconds, 4),
    }


def simulated(correction: str, seeds: Sequence[int] = SEEDS) -> Mapping[str, float]:
    """Of the pairs planted in the simulated market, the share found; of the pairs found, the share planted."""
    hits = others = planted = tested = chance = 0.0
    for seed in seeds:
        market = SimulatedMarket(seed)
        steady = {frozenset((pair.first, pair.second)) for pair in market.planted_pairs() if not pair.breaks}
        breaking = {frozenset((pair.first, pair.second)) for pair in market.planted_pairs() if pair.breaks}
        for session in SESSIONS:
            snapshot = search(market, XNYS.next(session).day, correction)
            found = {frozenset(pair) for pair in snapshot.frame.select("symbol_a", "symbol_b").rows()}
            hits, planted = hits + len(found & steady), planted + len(steady)
            others += len(found - steady - breaking)
            tested += sum(each.tested for each in snapshot.tested)
            chance += sum(each.false_finds_expected for each in snapshot.tested)
    return {
        f"recall_{correction}": round(hits / planted, 3),
        f"precision_{correction}": round(hits / max(hits + others, 1), 3),
        f"others_{correction}": others,
        f"tested_{correction}": tested,
        f"expected_by_chance_{correction}": round(chance, 1),
    }


def search(market: SimulatedMarket, session: date, correction: str) -> PairSnapshot:
    """The pairs of forty simulated securities in one session."""
    pairs = {"base": "all", "rebalance": "daily", "correction": correction}
    config = Universes.model_validate(
        {
            "universes": {"all": {"base": "instruments", "rebalance": "daily"}},
            "pairs": {"two": Pairs.model_validate(pairs)},
        }
    )
    span = Span(session, session)
    known = Span(pairs_need_from(config, span, XNYS), session)
    actions = pl.concat([market.corporate_actions(symbol, known) for symbol in SYMBOLS])
    instruments = [Instrument(symbol=symbol, sector=market.instrument(symbol).sector) for symbol in SYMBOLS]
    facts = Facts(
        market.daily_panel(SYMBOLS, known), CORPORATE_ACTIONS.conform(actions), REFERENCE_FACTS.empty(), instruments
    )
    return cointegrated_pairs(config, facts, span=span, calendar=XNYS)


def main() -> None:
    """Prints the figures."""
    figures: dict[str, float] = dict(by_chance())
    for correction in CORRECTIONS:
        figures |= simulated(correction)
    if "--json" not in sys.argv:
        sys.stdout.write("\n".join(f"{name:32} {value}" for name, value in figures.items()) + "\n")
    emit(figures)


if __name__ == "__main__":
    main()
