"""What models of reconstructed patients predict of their sets, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.report.markup import interval_text
from bayes_ptsd.report.table import table_html

__all__ = ["predictive_frame", "predictive_table"]

# Each tail, as in `bayes_ptsd.checks.predictive`, where its false alarms are counted.
FAR = 0.005


def predictive_frame(sampled: Sequence[xr.DataTree]) -> pd.DataFrame:
    """Return what each model predicts of its sets, over the sets, as numbers."""
    lines = []
    for fit in sampled:
        if "predictive" not in fit.children:
            continue
        table = fit["predictive"].to_dataset()
        for name in table["statistic"].values.tolist():
            one = table.sel(statistic=name)
            tail = np.minimum(one["p"].values, 1 - one["p"].values)
            lines.append(
                {"model": fit.attrs["model"], "feature": name,
                 "crossover_reading": fit.attrs["crossover_reading"],
                 "observed_least": float(one["observed"].min()),
                 "observed_most": float(one["observed"].max()),
                 "replicated_low": float(one["low"].mean()),
                 "replicated_high": float(one["high"].mean()),
                 "sets_beyond": int((tail < FAR).sum()),
                 "sets": table.sizes["reconstruction"],
                 "evidence_kind": fit.attrs["evidence_kind"]}
            )  # fmt: skip
    return pd.DataFrame(lines)


def predictive_table(sampled: Sequence[xr.DataTree], kind: str) -> str:
    """Return the predictive features as texts."""
    lines = [
        {
            "model": f"{line['model']}, {line['crossover_reading'].replace('_', ' ')}",
            "feature": str(line["feature"]).replace("_", " "),
            "in the sets": interval_text(line["observed_least"], line["observed_most"], 2),
            "replicates, 95%": interval_text(line["replicated_low"], line["replicated_high"], 2),
            "sets beyond": f"{line['sets_beyond']} of {line['sets']}",
        }
        for line in predictive_frame(sampled).to_dict("records")
    ]
    return table_html(
        pd.DataFrame(lines),
        caption="Features of the sets beside what the fitted model predicts of them.",
        kind=kind, name="reconstructed-predictive", group="model", stub="feature",
        notes=["sets beyond: sets whose feature lies among the outer 0.5% of its replicates. "
               "Limits of replicates are means over the sets."],
    )  # fmt: skip
