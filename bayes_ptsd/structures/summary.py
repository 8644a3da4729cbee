"""The structure of one printed contrast."""

from __future__ import annotations

from bayes_ptsd.structures.structure import Structure

__all__ = ["SUMMARY"]

SUMMARY = Structure(
    options={
        "analysis": ("any", "crossover", "first_period"),
        "convention": ("N", "T"),
        "crossover_reading": (
            "as_published", "carryover_covariate", "unhalved", "change", "change_unhalved"
        ),
    },
    priors=("treatment",),
    equation="estimate | delta ~ delta + se * t(df)  (T)  or  Normal(delta, s)  (N);  "
    "delta ~ treatment prior",
    builder="bayes_ptsd/build/summary.py",
    uses=lambda _: ("treatment",),
    conflict=lambda _: "",
)  # fmt: skip
