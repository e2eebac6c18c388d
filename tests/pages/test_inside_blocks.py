"""Page Inside the model for a PerturbedVAE: graph and programs at once, probes when asked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from cradle.data.sources import load
from cradle.fitting import fit
from cradle.ui import inside
from cradle.ui.inside_blocks import graph_words, program_overview, with_genes
from cradle.ui.inside_probes import BLOCKS, map_points, probe_words

Open = Callable[..., AppTest]
PAGE = "inside_the_model"
QUICK = {"n_responsive": 4, "n_invariant": 6, "n_hidden": 16, "batch_size": 128}


def _words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    assert not [box.value for box in app.warning]
    return "\n".join(str(text.value) for text in [*app.markdown, *app.info, *app.caption])


@pytest.fixture(scope="session")
def block_folder(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, screen = tmp_path_factory.mktemp("blocks"), load(shipped / "demo.h5ad")
    fit(screen, "perturbed_vae", QUICK, out=folder / "blocks", epochs=2)
    fit(screen, "perturbed_vae_no_structure", QUICK, out=folder / "loose", epochs=1)
    return folder


@pytest.fixture
def block_runs(demo: Path, block_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs ``blocks`` and ``loose`` (without structure) beside ``demo``."""
    monkeypatch.setenv("CRADLE_RUNS_DIR", str(block_folder))
    return block_folder


def test_graph_and_programs_stand_there_and_probes_wait(
    block_runs: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("computed on opening the page")

    monkeypatch.setattr(inside, "probed", never)
    app = open_page(PAGE, run="blocks")
    words = _words(app)
    assert "6 *invariant* ones" in words
    assert "4 *responsive* ones" in words
    assert "No edge is as strong as 0.25" in words, "two epochs teach no graph"
    assert "fixed before training and is no finding" in words
    programs = next(d.value for d in app.dataframe if "up" in d.value)
    assert sorted(programs["latent"]) == [1, 2, 3, 4]
    app.selectbox(key="program_latent").set_value(3).run()
    assert "The sign of a latent means nothing" in _words(app)
    app.slider(key="graph_limit").set_value(0.05).run()
    app.selectbox(key="graph_of").set_value(app.selectbox(key="graph_of").options[1]).run()
    _words(app)


def test_probes_are_computed_when_asked_and_say_their_chance(
    block_runs: Path, open_page: Open
) -> None:
    app = open_page(PAGE, run="blocks")
    next(b for b in app.button if b.label == "Probe the blocks").click().run(timeout=120)
    words = _words(app)
    table = next(d.value for d in app.dataframe if "accuracy" in d.value)
    assert list(table["block"]) == list(BLOCKS.values())
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    told = table.set_index("block")["accuracy"]
    assert told[BLOCKS["responsive"]] > told[BLOCKS["invariant"]]
    assert "guessing gives" in words
    assert "Distances and sizes on this map are not evidence" in words
    points = next(d.value for d in app.dataframe if "color" in d.value)
    assert {"x", "y", "label"} <= set(points)
    app.segmented_control(key="background_colour").set_value("library size").run()
    points = next(d.value for d in app.dataframe if "color" in d.value)
    assert points["color"].between(1, 7).all(), "log10 counts"


def test_without_structure_there_is_no_graph(block_runs: Path, open_page: Open) -> None:
    words = _words(open_page(PAGE, run="loose"))
    assert "cannot drive each other" in words
    assert "one standard deviation" in words


def test_without_cells_the_page_says_where_to_get_them(
    no_cells: Path, block_folder: Path, open_page: Open
) -> None:
    shutil.rmtree(no_cells)
    shutil.copytree(block_folder / "blocks", no_cells)
    provenance = json.loads((no_cells / "provenance.json").read_text())
    provenance["data"] |= {"name": "norman_subset", "simulated": False}
    (no_cells / "provenance.json").write_text(json.dumps(provenance))
    app = open_page(PAGE)
    assert "upload the dataset on the page Data" in _words(app)
    assert not [b for b in app.button if b.label == "Probe the blocks"]


def _probed(accuracy: float) -> pd.DataFrame:
    rows = {"block": list(BLOCKS.values()), "accuracy": [accuracy, 40.0, 99.0, 55.0],
            "depth_r2": [0.8, 0.1, 0.1, 0.9]}  # fmt: skip
    return pd.DataFrame(rows)


def test_the_verdict_follows_from_the_probes() -> None:
    kl = np.array([0.5, 0.5, 0.0])
    assert "is not free of the perturbation" in probe_words(_probed(30.0), 5.0, kl)
    near = probe_words(_probed(9.0), 5.0, kl)
    assert "nearly free" in near
    assert "2 of its 3 latents are in use" in near
    assert "80 % of the variance of the library size" in near
    assert "is nearly empty" in probe_words(_probed(5.0), 5.0, 0 * kl), "nothing is not invariance"


def test_edges_and_programs_are_said_by_gene() -> None:
    edges = pd.DataFrame({"source": [1, 2], "target": [2, 3], "weight": [0.5, -0.1]})
    nodes = pd.DataFrame({"latent": [1, 2, 3], "gene": ["A", "B", "C"], "shift": [1.0, -2.0, 3.0]})
    assert list(with_genes(edges, nodes)["target_gene"]) == ["B", "C"]
    assert "1 of 2 possible edges" in graph_words(edges, edges.head(1), 0.25)
    assert "the strongest is 0.50" in graph_words(edges, edges.head(0), 0.8)
    table = pd.DataFrame(
        {"latent": [1, 1, 2, 2, 3, 3], "gene": list("xyxyxy"),
         "change": [0.2, -0.1, -3.0, 2.0, 0.5, 0.4]}
    )  # fmt: skip
    overview = program_overview(table, nodes)
    assert list(overview["latent"]) == [2, 3, 1], "the strongest program first"
    first = overview.iloc[0]
    assert (first["gene"], first["up"], first["down"], first["largest"]) == ("B", "y", "x", 3.0)
    assert overview.iloc[1]["down"] == ""


def test_the_map_is_coloured_by_what_is_asked() -> None:
    cells = inside.Probed(pd.Series(["control", "A"]), np.array([100.0, 1000.0]), np.zeros(2))
    at = np.zeros((2, 2), np.float32)
    assert list(map_points(cells, at, "perturbed or not")["color"]) == ["control", "perturbed"]
    assert list(map_points(cells, at, "library size")["color"]) == [2, 3]
    assert list(map_points(cells, at, "perturbation")["color"]) == ["control", "A"]
