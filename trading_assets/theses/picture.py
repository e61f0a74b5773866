"""The thesis graph as a picture: small PNG bytes, colour-blind safe (Okabe and Ito), the same for the same theses."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trading_assets.theses.model import Edge, Mind, Thesis

if TYPE_CHECKING:
    import networkx as nx  # type: ignore[import-untyped]
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"long": "#009E73", "short": "#D55E00", "plan": "#FFFFFF"}
# Colour and dash pattern, so that neither is needed to tell two kinds apart.
STYLES: Mapping[str, tuple[str, str]] = {
    "supports": ("#009E73", "-"),
    "contradicts": ("#D55E00", "-"),
    "correlated": ("#0072B2", "--"),
    "anti_correlated": ("#CC79A7", ":"),
    "ordered_as": ("#595959", "-."),
}
# Edges of one pair bend apart, so that none hides another.
_BEND = {"supports": 0.12, "contradicts": 0.2, "correlated": -0.12, "anti_correlated": -0.2, "ordered_as": 0.0}
_INK, _GREY = "#1A1A1A", "#595959"
_DPI = 110
_COLOURS_MAX = 96
_PLAN_SHOWN = 6
_LEGEND_COLUMNS = 7
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Node:
    """A thesis as it is drawn."""

    id: str
    symbol: str
    direction: str
    confidence: float
    status: str

    @classmethod
    def of(cls, thesis: Thesis) -> Node:
        """What of a thesis is drawn."""
        return cls(thesis.id, thesis.symbol, thesis.direction, thesis.confidence, thesis.status)

    @property
    def label(self) -> str:
        """What stands at the node; a thesis that may open says no status."""
        word = "" if self.status == "active" else f"\n{self.status}"
        return f"{self.symbol} {self.direction}\n{self.confidence:.2f}{word}"


def draw(mind: Mind) -> bytes:
    """The live theses and their relations as PNG bytes; an empty mind is an empty page that says so."""
    number = len(mind.theses)
    title = f"{number} live {'thesis' if number == 1 else 'theses'}"
    return draw_graph([Node.of(thesis) for thesis in mind.theses], mind.edges, title=title)


def graph_of(mind: Mind) -> nx.DiGraph:
    """The mind as a directed multigraph: theses and plans are nodes, each relation an edge under the key of its kind."""
    return _graph([Node.of(thesis) for thesis in mind.theses], mind.edges)


def draw_graph(nodes: Sequence[Node], edges: Sequence[Edge], *, title: str) -> bytes:
    """Theses and their relations as PNG bytes: colour for direction, size for confidence, line for the kind of relation."""
    graph = _graph(nodes, edges)
    figure, axes = _blank(title)
    places = _places(graph)
    for source, target, kind in sorted(graph.edges(keys=True)):
        _draw_edge(axes, places[source], places[target], kind, graph.edges[source, target, kind]["weight"])
    for node in nodes:
        _draw_thesis(axes, places[node.id], node)
    for plan in sorted(name for name, of in graph.nodes(data=True) if of["kind"] == "plan"):
        _draw_plan(axes, places[plan], plan)
    if not nodes:
        axes.text(0, 0, "no live thesis", ha="center", va="center", color=_GREY)
    _legend(figure, sorted({edge.kind for edge in edges}))
    return _png(figure)


def _graph(nodes: Sequence[Node], edges: Sequence[Edge]) -> Any:
    import networkx as nx

    graph = nx.MultiDiGraph()
    for node in nodes:
        graph.add_node(node.id, kind="thesis", symbol=node.symbol, direction=node.direction)
        graph.nodes[node.id].update(confidence=node.confidence, status=node.status)
    for edge in edges:
        if edge.kind == "ordered_as":
            graph.add_node(edge.target, kind="plan")
        graph.add_edge(edge.source, edge.target, key=edge.kind, weight=edge.weight, since=edge.since)
    return graph


def _places(graph: Any) -> dict[str, Place]:
    """Theses on a circle, those that are related next to each other; a plan outside of the thesis that it came from."""
    import networkx as nx

    theses = [name for name, of in graph.nodes(data=True) if of["kind"] == "thesis"]
    groups = sorted(sorted(group) for group in nx.weakly_connected_components(graph.subgraph(theses)))
    order = [name for group in groups for name in sorted(group, key=lambda n: (graph.nodes[n]["symbol"], n))]
    angles = {name: math.pi / 2 - 2 * math.pi * at / len(order) for at, name in enumerate(order)}
    radius = 0.0 if len(order) == 1 else 1.0
    places = {name: (radius * math.cos(angle), radius * math.sin(angle)) for name, angle in angles.items()}
    for name in order:
        plans = sorted(target for _, target, kind in graph.out_edges(name, keys=True) if kind == "ordered_as")
        for number, plan in enumerate(plans):
            turned = angles[name] + 0.2 * (number + 1)
            places[plan] = ((radius + 0.5) * math.cos(turned), (radius + 0.5) * math.sin(turned))
    return places


def _draw_edge(axes: Axes, begin: Place, end: Place, kind: str, weight: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    colour, line = STYLES[kind]
    arrow = FancyArrowPatch(
        begin,
        end,
        arrowstyle="-" if kind.endswith("correlated") else "-|>",
        connectionstyle=f"arc3,rad={_BEND[kind]}",
        mutation_scale=11,
        shrinkA=16,
        shrinkB=18,
        color=colour,
        linestyle=line,
        linewidth=0.7 + 1.3 * weight,
        zorder=3,
    )
    axes.add_patch(arrow)


def _draw_thesis(axes: Axes, place: Place, node: Node) -> None:
    untyped: Any = axes
    edge = _INK if node.status == "active" else "#BFBFBF"
    size = 200 + 1000 * node.confidence**2
    untyped.scatter(*place, s=size, c=COLOURS[node.direction], edgecolors=edge, linewidths=1.5, alpha=0.85, zorder=4)
    paper = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    x, y = place if place != (0.0, 0.0) else (0.0, -1.0)
    where = (place[0] + 0.17 * x, place[1] + 0.2 * y)
    beside, above = _side(x, ("right", "center", "left")), _side(y, ("top", "center", "bottom"))
    untyped.text(*where, node.label, ha=beside, va=above, fontsize=8, color=_INK, bbox=paper, zorder=2)


def _side(at: float, words: tuple[str, str, str]) -> str:
    """Which of three words holds for a place: low, middle or high."""
    return words[0] if at < -0.3 else words[2] if at > 0.3 else words[1]


def _draw_plan(axes: Axes, place: Place, plan: str) -> None:
    untyped: Any = axes
    untyped.scatter(*place, s=60, c=COLOURS["plan"], marker="s", edgecolors=_GREY, linewidths=1.2, zorder=3)
    axes.text(place[0], place[1] + 0.1, plan[:_PLAN_SHOWN], ha="center", va="center", fontsize=6, color=_GREY)


def _legend(figure: Figure, kinds: Sequence[str]) -> None:
    import matplotlib.lines

    line: Any = matplotlib.lines.Line2D
    handles = [line([], [], marker="o", ls="", color=COLOURS[name], label=name) for name in ("long", "short")]
    for kind in kinds:
        colour, style = STYLES[kind]
        handles.append(line([], [], color=colour, ls=style, label=kind.replace("_", " ")))
    figure.legend(handles=handles, loc="outside lower center", ncols=_LEGEND_COLUMNS, frameon=False, fontsize=8)


def _blank(title: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.0), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlim(-1.7, 1.7)
    axes.set_ylim(-1.5, 1.65)
    axes.set_axis_off()
    return figure, axes


def _png(figure: Figure) -> bytes:
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(_COLOURS_MAX, dither=Image.Dither.NONE).save(stream, format="PNG", optimize=True)
    return stream.getvalue()
