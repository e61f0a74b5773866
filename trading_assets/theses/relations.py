"""How theses stand to each other: opposite, related through their symbols, in a circle.

Two symbols are related where their returns of 120 sessions correlate by 0.6 or more, or -0.6 or less. The older of two theses is
the one that speaks. Relations carry no log-odds: both theses have heard the market already, and would count it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations
from typing import Any

from trading_assets.briefs.facts import Row, numbers
from trading_assets.theses.arithmetic import PLACES
from trading_assets.theses.model import Edge, EdgeKind, Mind, Status, Thesis

RELATED_MIN = 0.6
CLEARLY = 0.1
ACTIVE_MIN = 0.5
_SHARING: frozenset[EdgeKind] = frozenset({"correlated", "anti_correlated"})
Pair = tuple[str, str]


def statuses(theses: Sequence[Thesis]) -> dict[str, Status]:
    """By id: active from even odds on, weak below; opposite theses on one symbol are weak, or conflicted.

    The one that is surer by more than 0.1 keeps its own status and the other is weak; nearer together, neither may open.
    """
    found: dict[str, Status] = {t.id: "active" if t.confidence >= ACTIVE_MIN else "weak" for t in theses}
    for one, other in opposites(theses):
        low, high = sorted((one, other), key=lambda thesis: thesis.confidence)
        if round(high.confidence - low.confidence, PLACES) > CLEARLY:
            found[low.id] = "weak"
        else:
            found[low.id] = found[high.id] = "conflicted"
    return found


def opposites(theses: Sequence[Thesis]) -> list[tuple[Thesis, Thesis]]:
    """Pairs of theses on one symbol in opposite directions."""
    return [(a, b) for a, b in combinations(theses, 2) if a.symbol == b.symbol and a.direction != b.direction]


def edges_of(
    theses: Sequence[Thesis], before: Sequence[Edge], correlations: Sequence[Row], session: date
) -> tuple[Edge, ...]:
    """The relations between live theses, sorted; one that stood before keeps its first day.

    Where the correlation of two symbols is not known, what was known of them before still holds.
    """
    book = _Book({_key(edge): edge for edge in before}, session)
    live = {thesis.id for thesis in theses}
    found = [*_opposed(theses, book), *_through_symbols(theses, book, correlations)]
    found += [edge for edge in before if edge.kind == "ordered_as" and edge.source in live]
    return tuple(sorted(found, key=_key))


def without_cycles(edges: Sequence[Edge], theses: Sequence[Thesis]) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """The edges without the weakest support of every circle, and what was taken out.

    Support that runs from older to younger theses alone cannot close a circle; only other support is searched.
    """
    age = {thesis.id: position for position, thesis in enumerate(sorted(theses, key=_age))}
    supports = [edge for edge in edges if edge.kind == "supports"]
    if all(age[edge.source] < age[edge.target] for edge in supports):
        return tuple(edges), ()
    removed = tuple(_weakest_of_each_circle(supports))
    return tuple(edge for edge in edges if edge not in removed), removed


def related(mind: Mind) -> Mapping[str, frozenset[str]]:
    """For each symbol with a thesis, the symbols whose theses share its risk, itself among them.

    Everything that is joined by correlated or anti-correlated edges, over however many steps, shares risk.
    """
    symbols = {thesis.id: thesis.symbol for thesis in mind.theses}
    groups = {symbol: frozenset({symbol}) for symbol in sorted(symbols.values())}
    for edge in mind.edges:
        if edge.kind in _SHARING and edge.source in symbols and edge.target in symbols:
            joined = groups[symbols[edge.source]] | groups[symbols[edge.target]]
            groups.update(dict.fromkeys(joined, joined))
    return groups


def ordered(mind: Mind, thesis_id: str, plan_id: str, session: date) -> Mind:
    """The mind that knows which plan a thesis became; a plan without a live thesis changes nothing."""
    edge = Edge(kind="ordered_as", source=thesis_id, target=plan_id, weight=1.0, since=session)
    known = any(thesis.id == thesis_id for thesis in mind.theses)
    if not known or any(_key(edge) == _key(each) for each in mind.edges):
        return mind
    return mind.model_copy(update={"edges": tuple(sorted((*mind.edges, edge), key=_key))})


@dataclass(frozen=True, slots=True)
class _Book:
    """The edges that stood before a session, and how a new one is entered."""

    before: Mapping[tuple[str, str, str], Edge]
    session: date

    def edge(self, kind: EdgeKind, source: Thesis, target: Thesis, weight: float) -> Edge:
        """An edge of today's weight that keeps its first day; the very same one where nothing changed."""
        stood = self.before.get((kind, source.id, target.id))
        if stood is not None and stood.weight == weight:
            return stood
        since = stood.since if stood else self.session
        return Edge(kind=kind, source=source.id, target=target.id, weight=weight, since=since)


def _opposed(theses: Sequence[Thesis], book: _Book) -> Iterator[Edge]:
    """Each of two opposite theses contradicts the other, as far as it is believed."""
    for one, other in opposites(theses):
        for speaker, hearer in ((one, other), (other, one)):
            yield book.edge("contradicts", speaker, hearer, speaker.confidence)


def _through_symbols(theses: Sequence[Thesis], book: _Book, correlations: Sequence[Row]) -> Iterator[Edge]:
    known = _correlations({thesis.symbol for thesis in theses}, correlations)
    stood: dict[frozenset[str], list[Edge]] = {}
    for edge in book.before.values():
        stood.setdefault(frozenset((edge.source, edge.target)), []).append(edge)
    for older, younger in combinations(sorted(theses, key=_age), 2):
        if older.symbol != younger.symbol:
            correlation = known.get((min(older.symbol, younger.symbol), max(older.symbol, younger.symbol)))
            if correlation is None:
                yield from stood.get(frozenset((older.id, younger.id)), ())
            elif abs(correlation) >= RELATED_MIN:
                yield from _related(older, younger, correlation, book)


def _related(older: Thesis, younger: Thesis, correlation: float, book: _Book) -> Iterator[Edge]:
    """Theses on symbols that move together support each other in one direction; where both cannot gain, they contradict."""
    weight, same = round(min(1.0, abs(correlation)), PLACES), older.direction == younger.direction
    yield book.edge("correlated" if correlation > 0 else "anti_correlated", older, younger, weight)
    if correlation > 0 and same:
        yield book.edge("supports", older, younger, weight)
    elif (correlation > 0) != same:
        yield book.edge("contradicts", older, younger, weight)


def _correlations(symbols: set[str], rows: Sequence[Row]) -> dict[Pair, float]:
    """By pair of symbols in alphabetical order, the correlation of 120 sessions where it is known."""
    found: dict[Pair, float] = {}
    for row in rows:
        pair = (row["symbol_a"], row["symbol_b"])
        measured = numbers(row, "correlation_120") if symbols.issuperset(pair) else None
        if measured:
            found[min(pair), max(pair)] = measured["correlation_120"]
    return found


def _weakest_of_each_circle(supports: Sequence[Edge]) -> Iterator[Edge]:
    import networkx as nx  # type: ignore[import-untyped]

    graph: Any = nx.DiGraph()
    for edge in sorted(supports, key=_key):
        graph.add_edge(edge.source, edge.target, edge=edge)
    while not nx.is_directed_acyclic_graph(graph):
        circle = [graph.edges[source, target]["edge"] for source, target in nx.find_cycle(graph)]
        weakest = min(circle, key=lambda edge: (edge.weight, _key(edge)))
        graph.remove_edge(weakest.source, weakest.target)
        yield weakest


def _age(thesis: Thesis) -> tuple[datetime, str, str, str]:
    """By this theses are sorted from old to young; those of one moment by name."""
    return (thesis.formed_at, thesis.symbol, thesis.direction, thesis.id)


def _key(edge: Edge) -> tuple[str, str, str]:
    return (edge.kind, edge.source, edge.target)
