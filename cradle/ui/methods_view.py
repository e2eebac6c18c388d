"""Parts of the methods page."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cradle.evaluation.metrics import METRICS
from cradle.models.baselines import BASELINES
from cradle.models.registry import model_spec
from cradle.ui.labels import GLOSSARY, QC_FORMULAS, safe_label, safe_text
from cradle.ui.navigation import ROOT

if TYPE_CHECKING:
    from cradle.runs import Run

PACKAGES = ("torch", "pytorch-lightning", "scanpy", "anndata", "scikit-learn", "umap-learn",
            "numpy", "scipy", "pandas", "streamlit", "plotly")  # fmt: skip

_BETTER = {True: "higher", False: "lower", None: "neither end"}

LIMITS = """
- A prediction for a combination never measured rests on the single genes. Check its support badge.
- Effects are averages over cells; two cell states that move apart can average to no change.
- A criterion of quality control can be biology: hemoglobin in erythroid cells, mitochondrial share
  in stressed ones. The page Quality control flags such cases; the decision is yours.
- Generated cells pass quality control more often than real ones if a model is too smooth. The pass
  rate is therefore shown beside the distances to observed cells.
- Maps (UMAP, t-SNE) preserve neighbours, not distances or sizes. The mixing number is computed in
  the principal components.
- Simulated screens show that a method can find what was put in, not that real screens look so.
- Intervals cover the model's uncertainty about its parameters and are then widened until they hold
  the effects seen in validation cells. Those are of perturbations in training: for new
  combinations, strong effects above all, the intervals may be too narrow.
"""


def definitions() -> None:
    """Model, quality control and effects, with their formulas."""
    st.subheader("Definitions")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Treatment effect** of perturbation t on gene g, in log2 units")
        st.latex(r"y_{ig} = \log_2\big(1 + 10^4\, x_{ig} / \ell_i\big)")
        st.latex(
            r"\mathrm{ATE}_{t,g} = \operatorname*{mean}_{i \in t} y_{ig} - "
            r"\operatorname*{mean}_{i \in \mathrm{control}} y_{ig}"
        )
        st.caption("x: UMI counts; ℓ: library size of the cell over the whole transcriptome.")
        st.markdown("**Quality control**, per criterion with value v, fitted on training cells")
        for formula in QC_FORMULAS:
            st.latex(formula)
        st.caption("Low: UMI counts, genes detected. High: mitochondrial, ribosomal, hemoglobin "
                   "share.")  # fmt: skip
        st.caption("Doublets are called by Scrublet. A cell fails when any selected criterion "
                   "that the data can measure fails.")  # fmt: skip
    with right:
        of_combinations = model_spec("cradle_vae").settings["combination_dosage"]
        st.markdown("**CRADLE-VAE** (Baek et al., AAAI 2025)")
        st.latex(r"z_p = \sum_t d_t\,(e_t \odot m_t)")
        st.latex(r"z_a = a\,u_c, \quad z_b \sim N(0, I)")
        st.latex(r"\rho = \mathrm{softmax}\,\big(f(z) + W z\big), \quad z = [z_b, z_p, z_a]")
        st.latex(r"x_g \sim \mathrm{GammaPoisson}(\ell \rho_g,\ \theta_g)")
        st.caption(
            "d: which genes are perturbed; e, m: effect and sparse mask of a gene, and, at d = "
            f"{of_combinations:g}, of what each combination in training does beyond its genes; "
            "a: 1 for cells that "
            "fail quality control; c: which of the kinds of artifact (four by default) such a cell "
            "is of, inferred from its counts, with a vector u_c each; z_b: everything else about "
            "the cell; f: a network, W: a linear path beside it. The paper has one artifact "
            "u, no effects of combinations and no linear path."
        )
        st.markdown("**Objective**: evidence bound plus the counterfactual term")
        st.latex(
            r"J = \mathrm{ELBO} - \alpha\, \overline{w\, \mathrm{KL}\big(q(z_b \mid x) \,\|\,"
            r" q(z_b \mid \bar{x}_{c})\big)}"
        )
        st.caption(
            "The basal state of a passing cell should look like that of failed cells with the same "
            "perturbation (their gene-wise median): what differs between them is the artifact."
        )


def scores() -> None:
    """What each score and each simple rule means."""
    st.subheader("Scores")
    rows = [
        {"score": m.label, "unit": m.unit,
         "better": _BETTER[m.higher_is_better], "meaning": m.explanation}
        for m in METRICS.values()
    ]  # fmt: skip
    st.table(pd.DataFrame(rows).set_index("score"))
    st.markdown("**Simple rules (floor)** – " + GLOSSARY["floor"])
    st.markdown("\n".join(f"- **{b.label}**: {b.explanation}" for b in BASELINES.values()))
    st.markdown(f"**Ceiling** – {GLOSSARY['ceiling']}  \n"
                f"**Replicate** – {GLOSSARY['replicate']}")  # fmt: skip


def departures() -> None:
    """Where this project does otherwise than the papers, and why."""
    st.subheader("Departures from the papers")
    st.caption("The model cradle_vae_reference follows the published code, save for plain bugs.")
    table = pd.read_csv(ROOT / "assets" / "departures.csv")
    with st.container(key="departures"):
        st.table(table.set_index("topic"))


def limits() -> None:
    """What not to conclude."""
    st.subheader("Limits")
    st.markdown(LIMITS)


def versions(run: Run | None) -> None:
    """Versions in use, and those that the chosen run was trained with."""
    st.subheader("Versions")
    from cradle import __version__

    table = pd.DataFrame(
        {"package": ["cradle", *PACKAGES],
         "this app": [__version__, *(version(name) for name in PACKAGES)]}
    )  # fmt: skip
    if run is not None:
        trained = {k: safe_text(str(v)) for k, v in run.provenance.get("versions", {}).items()}
        table[f"run {safe_label(run.name)}"] = table["package"].map(trained).fillna("–")
    st.table(table.set_index("package"))


def citation() -> None:
    """Whom to cite."""
    st.subheader("Citation")
    st.markdown(
        "Cite the paper whose model you use, the data set, and this software with its version."
    )
    st.code(
        "Baek, S., et al. CRADLE-VAE: Enhancing Single-Cell Gene Perturbation Modeling with\n"
        "Counterfactual Reasoning-based Artifact Disentanglement. AAAI 2025.\n\n"
        "Bereket, M., Karaletsos, T. Modelling Cellular Perturbations with the Sparse Additive\n"
        "Mechanism Shift Variational Autoencoder. NeurIPS 2023.\n\n"
        "Norman, T. M., et al. Exploring genetic interaction manifolds constructed from rich\n"
        "single-cell phenotypes. Science 365, 786-793 (2019).",
        language=None,
    )
