"""The closed set of evidence of the debate: the analysts' words and the rows that they cite, each with an id.

Sentences may stem from headlines and are quoted as foreign text. Readings are numbers without a unit, by a closed list of columns:
prices, levels of an index and whatever is not on the list are carried by the sentences alone, so none is shown unmasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.model import Edge, Narrative, Stage
from trading_assets.briefs.roles import ReadingId
from trading_assets.features.model import BREADTH, CORRELATIONS, INDICATORS, INTRADAY_FEATURES
from trading_assets.regimes.model import LIQUIDITY_REGIMES, MARKET, REGIME_LABELS
from trading_assets.theses.council_words import Listed, Outside, Share, Signed, Words

SENTENCES_MAX = 3
READINGS_MAX = 8
_SHORTER_FROM = 9
_SHORTEST_FROM = 21
_IDS_PER_LETTER = 999
_LETTERS = "abcdefghij"
_UNITLESS: Mapping[str, frozenset[str]] = {
    INDICATORS.name: frozenset({"rsi_14", "adx_14", "mom_252_21", "vol_20"}),
    BREADTH.name: frozenset(column.name for column in BREADTH.columns if column.type in {"number", "count"}),
    REGIME_LABELS.name: frozenset({"probability", "volatility_percentile", "trend_strength", "adx_14"}),
    LIQUIDITY_REGIMES.name: frozenset({"spread_ratio", "depth_ratio", "amihud_ratio"}),
    CORRELATIONS.name: frozenset(column.name for column in CORRELATIONS.columns if column.type == "number"),
    INTRADAY_FEATURES.name: frozenset({"return_from_open", "volume_ratio", "rsi_14", "spread_ratio_20"}),
}


class Number(Words):
    """One number without the price's unit."""

    id: ReadingId
    column: str
    value: float


class Testimony(Words):
    """One analyst's brief: how it leans, what it says, and the readings that it rests on."""

    id: ReadingId
    source: str
    signal: Signed
    confidence: Share
    says: Outside
    readings: tuple[Number, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Everything of this brief that may be cited, the brief itself first."""
        return (self.id, *(reading.id for reading in self.readings))


class Told(Words):
    """What the news tells, as the narrative tracker put it."""

    id: ReadingId
    story: Outside
    counter_story: Outside | None
    stage: Stage
    velocity: Signed
    direction: Signed
    consensus: Share
    edge: Edge


class Dossier(Words):
    """The evidence on one symbol."""

    symbol: Listed
    view: str
    briefs: tuple[Testimony, ...]
    narrative: Told | None = None

    @property
    def ids(self) -> frozenset[str]:
        """Everything of this symbol that may be cited."""
        own = frozenset(id_ for brief in self.briefs for id_ in brief.ids)
        return own | {self.narrative.id} if self.narrative else own


class DebateInputs(Words):
    """What both sides of the debate are given: the same evidence on each symbol, and on the market as a whole."""

    session: date
    market: tuple[Testimony, ...]
    dossiers: tuple[Dossier, ...]

    @property
    def market_ids(self) -> frozenset[str]:
        """What may be cited for any symbol."""
        return frozenset(id_ for brief in self.market for id_ in brief.ids)


Citations = Mapping[str, tuple[Evidence, ...]]


@dataclass
class _Numbering:
    """Gives out ids in order, and remembers the rows of the lake behind each."""

    sentences_max: int
    readings_max: int
    rows: dict[str, tuple[Evidence, ...]] = field(default_factory=dict)

    def id_for(self, *behind: Evidence) -> str:
        """The next id."""
        letter, number = divmod(len(self.rows), _IDS_PER_LETTER)
        made = f"{_LETTERS[letter]}{number + 1}"
        self.rows[made] = behind
        return made

    def testimony(self, brief: Brief) -> Testimony:
        """A brief with ids; the more symbols share the prompt, the fewer of its sentences and readings."""
        return Testimony(
            id=self.id_for(*brief.evidence),
            source=brief.agent,
            signal=brief.signal,
            confidence=brief.confidence,
            says=" ".join(brief.reasons[: self.sentences_max]),
            readings=tuple(self._readings(brief.evidence)),
        )

    def told(self, narrative: Narrative | None) -> Told | None:
        """A narrative with an id."""
        if narrative is None:
            return None
        return Told(
            id=self.id_for(*narrative.evidence),
            story=narrative.story,
            counter_story=narrative.counter_story or None,
            stage=narrative.stage,
            velocity=narrative.velocity,
            direction=narrative.direction,
            consensus=narrative.consensus,
            edge=narrative.edge,
        )

    def _readings(self, evidence: Sequence[Evidence]) -> Iterator[Number]:
        unitless = (one for one in evidence if one.column in _UNITLESS.get(one.table, ()))
        known = [(one, one.value) for one in unitless if isinstance(one.value, float)]
        for one, value in known[: self.readings_max]:
            yield Number(id=self.id_for(one), column=one.column, value=value)


def evidence_on(
    facts: Facts, briefs: Sequence[Brief], narratives: Sequence[Narrative], symbols: Sequence[str]
) -> tuple[DebateInputs, Citations]:
    """The question of the debate about the symbols that the facts know, and the rows behind each id.

    Ids depend on the arguments alone, and not on their order.
    """
    told = {narrative.symbol: narrative for narrative in narratives}
    wanted = sorted(set(symbols) & facts.symbols.keys())
    numbering = _Numbering(*_room(len(wanted)))
    market = tuple(numbering.testimony(brief) for brief in _sorted(briefs, MARKET))
    inputs = DebateInputs(
        session=facts.session or facts.as_of.date(),
        market=market,
        dossiers=tuple(
            Dossier(
                symbol=symbol,
                view=facts.symbols[symbol].view,
                briefs=tuple(numbering.testimony(brief) for brief in _sorted(briefs, symbol)),
                narrative=numbering.told(told.get(symbol)),
            )
            for symbol in wanted
        ),
    )
    return inputs, numbering.rows


def _sorted(briefs: Sequence[Brief], symbol: str) -> list[Brief]:
    return sorted((brief for brief in briefs if brief.symbol == symbol), key=lambda brief: brief.agent)


def _room(symbols: int) -> tuple[int, int]:
    """How many sentences and readings of each brief fit: a prompt holds 120,000 characters."""
    if symbols >= _SHORTEST_FROM:
        return 1, 3
    return (2, 5) if symbols >= _SHORTER_FROM else (SENTENCES_MAX, READINGS_MAX)
