"""Opposite theses are ruled on, symbols that move together share risk, and no circle of support stays."""

from itertools import combinations

import networkx as nx  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import DAY, SYMBOLS, mind_of, slot_after, thesis
from trading_assets.briefs.facts import Row
from trading_assets.theses.model import Direction, Edge, EdgeKind, Mind, Thesis
from trading_assets.theses.relations import edges_of, opposites, ordered, related, statuses, without_cycles

_LATER = slot_after(1)


def _moving(**pairs: float | None) -> tuple[Row, ...]:
    """Rows of CORRELATIONS: AB=0.7 is AAA with BBB."""
    return tuple(
        {"symbol_a": 3 * name[0], "symbol_b": 3 * name[1], "correlation_120": value} for name, value in pairs.items()
    )


def _edge(kind: EdgeKind, source: Thesis, target: Thesis, weight: float = 0.7) -> Edge:
    return Edge(kind=kind, source=source.id, target=target.id, weight=weight, since=DAY)


def _kinds(*theses: Thesis, **pairs: float | None) -> list[tuple[str, str, str, float]]:
    names = {each.id: f"{each.symbol} {each.direction}" for each in theses}
    edges = edges_of(theses, (), _moving(**pairs), DAY)
    return [(edge.kind, names[edge.source], names[edge.target], edge.weight) for edge in edges]


# Opposite theses


@pytest.mark.parametrize(
    ("long", "short", "expected"),
    [
        (0.70, 0.59, ("active", "weak")),
        (0.70, 0.60, ("conflicted", "conflicted")),
        (0.55, 0.66, ("weak", "active")),
        (0.45, 0.31, ("weak", "weak")),
        (0.50, 0.50, ("conflicted", "conflicted")),
        (0.80, 0.35, ("active", "weak")),
    ],
)
def test_the_surer_one_is_kept_and_near_ones_are_conflicted(
    long: float, short: float, expected: tuple[str, str]
) -> None:
    one, other = thesis(confidence=long), thesis(direction="short", confidence=short)
    found = statuses([one, other])
    assert (found[one.id], found[other.id]) == expected


@pytest.mark.parametrize(("confidence", "status"), [(0.5, "active"), (0.499999, "weak"), (0.3, "weak")])
def test_alone_a_thesis_is_active_from_even_odds_on(confidence: float, status: str) -> None:
    assert list(statuses([thesis(confidence=confidence)]).values()) == [status]


@settings(deadline=None, max_examples=25)
@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_conflicts_are_symmetric_and_never_leave_two_that_may_open(one: float, other: float) -> None:
    long, short = thesis(confidence=one), thesis(direction="short", confidence=other)
    found = statuses([long, short])
    assert found == statuses([short, long])
    assert list(found.values()).count("active") <= 1
    swapped = statuses([long.model_copy(update={"confidence": other}), short.model_copy(update={"confidence": one})])
    assert (swapped[short.id], swapped[long.id]) == (found[long.id], found[short.id])
    assert [edge.kind for edge in edges_of([long, short], (), (), DAY)] == ["contradicts", "contradicts"]


def test_opposite_theses_contradict_each_other_as_far_as_they_are_believed() -> None:
    long, short = thesis(confidence=0.7), thesis(direction="short", confidence=0.4)
    assert sorted(_kinds(long, short)) == [
        ("contradicts", "AAA long", "AAA short", 0.7),
        ("contradicts", "AAA short", "AAA long", 0.4),
    ]


def test_only_opposite_directions_on_one_symbol_are_opposite() -> None:
    assert opposites([thesis(), thesis("BBB", "short"), thesis(slot=_LATER)]) == []


# Related symbols


@pytest.mark.parametrize(
    ("correlation", "other", "kinds"),
    [
        (0.6, "long", ["correlated", "supports"]),
        (0.6, "short", ["contradicts", "correlated"]),
        (-0.6, "long", ["anti_correlated", "contradicts"]),
        (-0.6, "short", ["anti_correlated"]),
        (0.599, "long", []),
        (-0.599, "long", []),
        (None, "long", []),
        (float("nan"), "long", []),
    ],
)
def test_theses_on_related_symbols_support_or_contradict(
    correlation: float | None, other: Direction, kinds: list[str]
) -> None:
    found = _kinds(thesis(), thesis("BBB", other, slot=_LATER), AB=correlation)
    assert [kind for kind, *_ in found] == kinds
    assert all(named == ("AAA long", f"BBB {other}", 0.6) for _, *rest in found for named in [tuple(rest)])


def test_the_older_thesis_is_the_one_that_speaks() -> None:
    assert _kinds(thesis(slot=_LATER), thesis("BBB"), AB=0.8)[0] == ("correlated", "BBB long", "AAA long", 0.8)


def test_the_order_of_theses_and_of_a_pairs_symbols_does_not_matter() -> None:
    theses = [thesis(symbol, "long" if symbol < "CCC" else "short") for symbol in SYMBOLS]
    rows = _moving(AB=0.7, CA=-0.8, DE=0.9)
    assert edges_of(theses, (), rows, DAY) == edges_of(theses[::-1], (), rows[::-1], DAY)
    assert any(edge.kind == "anti_correlated" for edge in edges_of(theses, (), rows, DAY)), "CCC and AAA, in this order"


def test_a_relation_keeps_its_first_day_while_it_holds() -> None:
    pair = [thesis(), thesis("BBB")]
    first = edges_of(pair, (), _moving(AB=0.7), DAY)
    second = edges_of(pair, first, _moving(AB=0.9), _LATER.session.day)
    assert {(edge.since, edge.weight) for edge in second} == {(DAY, 0.9)}
    assert edges_of(pair, second, _moving(AB=0.3), _LATER.session.day) == ()


def test_where_nobody_knows_the_correlation_what_was_known_still_holds() -> None:
    pair = [thesis(), thesis("BBB")]
    first = edges_of(pair, (), _moving(AB=0.7), DAY)
    assert edges_of(pair, first, (), _LATER.session.day) == first
    assert edges_of(pair, first, _moving(AB=None), _LATER.session.day) == first


def test_edges_of_theses_that_are_gone_go_with_them() -> None:
    one, other = thesis(), thesis("BBB")
    mind = ordered(mind_of(one, other, edges=edges_of([one, other], (), _moving(AB=0.7), DAY)), one.id, "plan", DAY)
    assert [edge.kind for edge in edges_of([one], mind.edges, (), DAY)] == ["ordered_as"]
    assert edges_of([other], mind.edges, (), DAY) == ()


# Shared risk


def test_whatever_is_joined_over_any_number_of_steps_shares_risk() -> None:
    theses = [thesis(symbol) for symbol in SYMBOLS]
    edges = edges_of(theses, (), _moving(AB=0.7, BC=-0.9, DE=0.2), DAY)
    groups = related(mind_of(*theses, edges=edges))
    assert groups["AAA"] == groups["BBB"] == groups["CCC"] == {"AAA", "BBB", "CCC"}
    assert groups["DDD"] == {"DDD"}
    assert groups["EEE"] == {"EEE"}


def test_contradiction_alone_shares_no_risk_and_without_theses_there_is_none() -> None:
    one, other = thesis(), thesis("BBB")
    mind = mind_of(one, other, edges=(_edge("contradicts", one, other), _edge("supports", one, other)))
    assert related(mind) == {"AAA": {"AAA"}, "BBB": {"BBB"}}
    assert related(Mind()) == {}


@settings(deadline=None, max_examples=25)
@given(st.sets(st.sampled_from(list(combinations(range(5), 2)))))
def test_shared_risk_is_the_connected_components(pairs: set[tuple[int, int]]) -> None:
    theses = [thesis(symbol) for symbol in SYMBOLS]
    edges = tuple(_edge("correlated", theses[a], theses[b]) for a, b in sorted(pairs))
    graph = nx.Graph(sorted(pairs))
    graph.add_nodes_from(range(5))
    expected = {SYMBOLS[n]: {SYMBOLS[m] for m in group} for group in nx.connected_components(graph) for n in group}
    assert related(mind_of(*theses, edges=edges)) == expected


# Plans


def test_a_thesis_knows_which_plans_it_became() -> None:
    held = thesis()
    mind = ordered(ordered(mind_of(held), held.id, "p2", DAY), held.id, "p1", DAY)
    assert [(edge.kind, edge.target) for edge in mind.edges] == [("ordered_as", "p1"), ("ordered_as", "p2")]
    assert ordered(mind, held.id, "p1", _LATER.session.day) == mind, "told twice it is known once"


def test_a_plan_without_a_live_thesis_changes_nothing() -> None:
    mind = mind_of(thesis())
    assert ordered(mind, "nobody", "p1", DAY) is mind


# Circles


def test_of_a_circle_the_weakest_support_is_taken_out() -> None:
    a, b, c = (thesis(symbol) for symbol in SYMBOLS[:3])
    circle = (_edge("supports", a, b, 0.9), _edge("supports", b, c, 0.6), _edge("supports", c, a, 0.8))
    other = _edge("correlated", a, b)
    kept, removed = without_cycles((other, *circle), [a, b, c])
    assert removed == (circle[1],)
    assert kept == (other, circle[0], circle[2])


def test_contradiction_may_run_in_a_circle() -> None:
    long, short = thesis(), thesis(direction="short")
    edges = edges_of([long, short], (), (), DAY)
    assert without_cycles(edges, [long, short]) == (edges, ())


def test_a_thesis_that_supports_itself_is_a_circle() -> None:
    held = thesis()
    alone = _edge("supports", held, held)
    assert without_cycles((alone,), [held]) == ((), (alone,))


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.floats(0, 1), max_size=20))
def test_no_circle_of_support_remains_and_nothing_else_is_lost(pairs: dict[tuple[int, int], float]) -> None:
    theses = [thesis(symbol) for symbol in SYMBOLS]
    edges = tuple(_edge("supports", theses[a], theses[b], weight) for (a, b), weight in sorted(pairs.items()))
    kept, removed = without_cycles(edges, theses)
    graph = nx.DiGraph([(edge.source, edge.target) for edge in kept])
    assert nx.is_directed_acyclic_graph(graph)
    assert sorted([*kept, *removed], key=repr) == sorted(edges, key=repr)
    for edge in removed:
        closed = nx.DiGraph([(e.source, e.target) for e in (*kept, *removed) if e.weight >= edge.weight])
        assert edge.source == edge.target or nx.has_path(closed, edge.target, edge.source)


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(["long", "short"]), st.integers(0, 5)), unique=True),
    st.dictionaries(st.sampled_from(list(combinations("ABCDE", 2))), st.floats(-1, 1)),
)
def test_relations_through_symbols_never_close_a_circle(
    held: list[tuple[str, Direction, int]], moving: dict[tuple[str, str], float]
) -> None:
    theses = [thesis(symbol, direction, slot=slot_after(day)) for symbol, direction, day in held]
    edges = edges_of(theses, (), _moving(**{a + b: value for (a, b), value in moving.items()}), DAY)
    supports = [(edge.source, edge.target) for edge in edges if edge.kind == "supports"]
    assert nx.is_directed_acyclic_graph(nx.DiGraph(supports))
    assert without_cycles(edges, theses) == (edges, ())
    assert len({(edge.kind, edge.source, edge.target) for edge in edges}) == len(edges)
