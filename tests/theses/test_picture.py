"""The picture of the graph: one for every number of theses, small, the same bytes for the same theses, nothing hidden."""

import io
import subprocess
import sys

import networkx as nx  # type: ignore[import-untyped]
import numpy as np
import pytest
from PIL import Image

from tests.theses.graphs import DAY, mind_of, slot_after, thesis
from trading_assets.theses.model import Direction, Edge, Mind
from trading_assets.theses.picture import COLOURS, draw, graph_of
from trading_assets.theses.relations import edges_of, ordered

_BYTES_MAX = 60_000


def _crowd(number: int) -> Mind:
    """As many theses as asked for, on symbols that all move together, with one plan."""
    symbols = [chr(65 + n) * 3 for n in range(number)]
    theses = [
        thesis(s, "long" if n % 3 else "short", 0.3 + n % 5 / 10, slot=slot_after(n)) for n, s in enumerate(symbols)
    ]
    rows = [
        {"symbol_a": a, "symbol_b": b, "correlation_120": 0.9 if ord(b[0]) - ord(a[0]) == 1 else 0.0}
        for a in symbols
        for b in symbols
        if a < b
    ]
    mind = mind_of(*theses, edges=edges_of(theses, (), rows, DAY))
    return ordered(mind, theses[0].id, "0123456789abcdef", DAY) if theses else mind


def _pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _shows(png: bytes, colour: str) -> bool:
    """Whether enough pixels are near a colour that is drawn at 85 % on white."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) * 0.85 + 255 * 0.15
    return int((np.abs(_pixels(png) - wanted).max(axis=2) < 12).sum()) > 50


@pytest.mark.parametrize("number", [0, 1, 2, 8, 20])
def test_any_number_of_theses_is_drawn_small(number: int) -> None:
    png = draw(_crowd(number))
    assert png.startswith(b"\x89PNG")
    assert len(png) < _BYTES_MAX
    assert _pixels(png).std() > 5, "it is not blank"


def test_the_same_theses_give_the_same_bytes_in_any_order() -> None:
    mind = _crowd(5)
    turned = mind.model_copy(update={"theses": mind.theses[::-1], "edges": mind.edges[::-1]})
    assert draw(mind) == draw(mind) == draw(turned)


@pytest.mark.parametrize("direction", ["long", "short"])
def test_direction_is_a_colour(direction: Direction) -> None:
    other: Direction = "short" if direction == "long" else "long"
    png = draw(mind_of(thesis(direction=direction, confidence=0.9)))
    assert _shows(png, COLOURS[direction])
    assert not _shows(png, COLOURS[other])


def test_a_surer_thesis_is_larger_and_a_weak_one_says_so() -> None:
    def ink(confidence: float, status: str) -> int:
        held = thesis(confidence=confidence).model_copy(update={"status": status})
        green = np.array([38, 174, 136])
        return int((np.abs(_pixels(draw(mind_of(held))) - green).max(axis=2) < 25).sum())

    assert ink(0.9, "active") > 1.5 * ink(0.4, "active")
    assert draw(mind_of(thesis())) != draw(mind_of(thesis().model_copy(update={"status": "weak"})))


@pytest.mark.parametrize("kind", ["supports", "contradicts", "correlated", "anti_correlated"])
def test_every_kind_of_relation_changes_the_picture(kind: str) -> None:
    one, other = thesis(), thesis("BBB")
    edge = Edge.model_validate({"kind": kind, "source": one.id, "target": other.id, "weight": 0.8, "since": DAY})
    assert draw(mind_of(one, other, edges=(edge,))) != draw(mind_of(one, other))


def test_the_graph_holds_every_thesis_relation_and_plan() -> None:
    mind = _crowd(4)
    graph = graph_of(mind)
    assert isinstance(graph, nx.DiGraph)
    theses = {name for name, of in graph.nodes(data=True) if of["kind"] == "thesis"}
    assert theses == {each.id for each in mind.theses}
    assert graph.nodes["0123456789abcdef"] == {"kind": "plan"}
    assert {(a, b, kind) for a, b, kind in graph.edges(keys=True)} == {(e.source, e.target, e.kind) for e in mind.edges}
    first = mind.theses[0]
    assert graph.nodes[first.id]["confidence"] == first.confidence
    assert graph_of(Mind()).number_of_nodes() == 0


def test_importing_the_rooms_modules_imports_no_heavy_library() -> None:
    names = ("graph", "arithmetic", "relations", "scoring", "rows", "picture", "hearing", "resolution")
    lines = [f"import trading_assets.theses.{name}" for name in names]
    lines.append("import sys; print(sorted({'networkx', 'matplotlib', 'polars', 'numpy', 'PIL'} & sys.modules.keys()))")
    said = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
