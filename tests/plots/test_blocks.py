"""Figures of a PerturbedVAE's insides: what is drawn is what the tables hold."""

import numpy as np
import pandas as pd
import pytest

from cradle.plots.blocks import MAX_EDGES, latent_graph, probe_dots


@pytest.fixture
def nodes() -> pd.DataFrame:
    return pd.DataFrame({"latent": [1, 2, 5], "gene": ["KLF1", "SET", "KLF1"]})


def test_each_edge_is_one_arrow_from_source_to_target(nodes: pd.DataFrame) -> None:
    edges = pd.DataFrame({"source": [1, 2], "target": [5, 5], "weight": [-0.9, 0.3]})
    fig = latent_graph(nodes, edges, title="Graph")
    arrows = [a for a in fig.layout.annotations if a.showarrow]
    dots = next(t for t in fig.data if t.mode == "markers+text")
    place = dict(zip(dots.text, zip(dots.x, dots.y, strict=True), strict=True))
    assert len(arrows) == 2
    for arrow, (source, target) in zip(arrows, [("1", "5"), ("2", "5")], strict=True):
        assert np.hypot(arrow.ax - place[source][0], arrow.ay - place[source][1]) < 0.11
        assert np.hypot(arrow.x - place[target][0], arrow.y - place[target][1]) < 0.11
    assert arrows[0].arrowwidth > arrows[1].arrowwidth
    assert arrows[0].arrowhead != arrows[1].arrowhead, "the sign is told by more than colour"
    assert [a.text for a in fig.layout.annotations if not a.showarrow] == list(nodes["gene"])


def test_a_graph_without_edges_and_one_with_too_many(nodes: pd.DataFrame) -> None:
    none = pd.DataFrame({"source": [], "target": [], "weight": []})
    assert not [a for a in latent_graph(nodes, none, title="").layout.annotations if a.showarrow]
    many = pd.concat([pd.DataFrame({"source": [1], "target": [2], "weight": [1.0]})] * 100)
    arrows = [a for a in latent_graph(nodes, many, title="").layout.annotations if a.showarrow]
    assert len(arrows) == MAX_EDGES


def test_probes_stand_beside_chance_and_shuffled_labels() -> None:
    table = pd.DataFrame({"block": ["a", "b"], "accuracy": [80.0, 10.0], "low": [75.0, 8.0],
                          "high": [82.0, 13.0], "shuffled": [9.0, 11.0]})  # fmt: skip
    fig = probe_dots(table, chance=10.0, title="Probes")
    dots = {trace.name: trace for trace in fig.data}
    assert list(dots["perturbation"].x) == [80, 10]
    assert list(dots["perturbation"].error_x.array) == [2, 3]
    assert list(dots["labels shuffled"].x) == [9, 11]
    (line,) = fig.layout.shapes
    assert line.x0 == 10
    assert any("chance, 10.0 %" in a.text for a in fig.layout.annotations)
