"""What no patients can print: contradictions inside the printed numbers, each with its proof.

A contradiction is evidence about a misprint or about the form of a model; it says nothing about
who is right.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayes_ptsd.audit.finding import Finding, printed_rows
from bayes_ptsd.audit.polygon import admissible_polygon
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray, critical_value
from bayes_ptsd.reconstruction.boxes import PrintedRow, printed_row
from bayes_ptsd.reconstruction.plan import Plan, plan_of

__all__ = ["adjusted_gap", "impossibilities"]

CHECK = "reconstruction"
# points of each side, its two ends among them; 11 and 161 give the same gap to 12 digits
GRID = 41


def impossibilities(evidence: Evidence) -> list[Finding]:
    """Return what no patients can print.

    Rows whose estimate, limits and P value no symmetric interval prints, and the adjusted
    regression if its printed terms alone cannot hold beside the first-period row (of endpoints
    that are reconstructed together).
    """
    effects = printed_rows(evidence)
    rows = [printed_row(effects, name) for name in effects["contrast"].values.tolist()]
    found = [_row_finding(row) for row in rows if not _prints(row)]
    plan = plan_of(evidence)
    if not plan.joint:
        return found
    gap = adjusted_gap(plan)
    return [*found, _regression_finding(plan, gap)] if gap > 0 else found


def adjusted_gap(plan: Plan) -> float:
    """Return by how much the adjusted standard error misses its print, without a baseline more.

    For least squares on treatment, another outcome m and the baseline of the total, with P values
    of t on f degrees of freedom, ``SE_adj^2 = SE^2 (f + 1)/f (1 - r^2) (1 + t_m^2/(f + 1))`` with
    ``r^2 = t^2/(t^2 + f)``, t of m, and ``t_m = (tau - tau_adj)/(r SE)``, tau and SE those of the
    first-period row: the coefficient of m cancels.

    Smallest standard error that the boxes imply less the largest that they print, score units:
    positive if they cannot hold together. By a grid that has the corners, on which the expression
    is smooth; not by interval arithmetic.
    """
    treatment, other = _stated(plan)
    first = plan.rows[plan.total, "first_period"]
    corners = admissible_polygon(first.estimate, first.low, first.high)
    tau, se = (points[:, None, None] for points in _edges(corners / [1.0, first.quantile]).T)
    adjusted = np.linspace(*treatment.estimate, GRID)[:, None]
    t = np.linspace(*other.t, GRID)
    df = treatment.df
    share = t**2 / (t**2 + df)
    through = (tau - adjusted) ** 2 / (share * se**2)
    implied = se * np.sqrt((df + 1) / df * (1 - share) * (1 + through / (df + 1)))
    return float((implied - adjusted / treatment.t[0]).min())


def _stated(plan: Plan) -> tuple[PrintedRow, PrintedRow]:
    """Return treatment and mediator in the regression of the printed terms alone."""
    effects = plan.evidence.data["effects"].to_dataset()
    names = (plan.adjusted[term].id for term in ("treatment", f"{plan.mediator}_24h"))
    treatment, other = (printed_row(effects, name, df=plan.stated_df) for name in names)
    return treatment, other


def _edges(corners: FloatArray) -> FloatArray:
    """Return points all along the edges of a polygon, dims (point, 2)."""
    if not len(corners):
        raise EvidenceError("the first-period row of the total contradicts itself; see the audit")
    steps = np.linspace(0, 1, GRID)[:, None, None]
    points: FloatArray = corners + steps * (np.roll(corners, -1, axis=0) - corners)
    return points.reshape(-1, 2)


def _prints(row: PrintedRow) -> bool:
    """Tell whether a symmetric interval prints estimate, limits and P value."""
    if not np.isfinite(row.low).all():
        return True
    corners = admissible_polygon(row.estimate, row.low, row.high)
    if len(corners) == 0:
        return False
    ratio = np.abs(corners[:, 0]) / corners[:, 1] * float(critical_value(df=row.df))
    return bool(ratio.min() <= row.t[1] and ratio.max() >= row.t[0])


def _row_finding(row: PrintedRow) -> Finding:
    """Return the finding on a row that contradicts itself."""
    middle = [(low + high) / 2 for low, high in zip(row.low, row.high, strict=True)]
    figures = {
        "middle_low": middle[0], "middle_high": middle[1],
        "estimate_low": row.estimate[0], "estimate_high": row.estimate[1],
    }  # fmt: skip
    return Finding(f"{CHECK}.{row.id}", CHECK, "contradiction", row.id, row.refusal(), figures)


def _regression_finding(plan: Plan, gap: float) -> Finding:
    """Return the finding on the adjusted regression."""
    treatment, other = _stated(plan)
    first = plan.rows[plan.total, "first_period"]
    largest = treatment.estimate[1] / float(treatment.t[0])
    text = (
        f"Least squares on treatment, {plan.mediator} at 24 h and the baseline of {plan.total} "
        f"({treatment.df:g} degrees of freedom) cannot print {treatment.id} {treatment.text}, "
        f"{other.id} P = {other.printed[3]:g} and {first.id} {first.text} together: over all their "
        f"rounding boxes the adjusted standard error exceeds the largest that is printed by at "
        f"least {gap:.4f} ({gap / largest:.1%}). With the baseline of {plan.mediator} in the model "
        "as well, or with P values of the normal distribution, they can hold together: a statement "
        "about the form of the model, not about an error."
    )
    low = float(stats.t.isf(other.printed[3] / 2, other.df))
    figures = {"gap": gap, "largest_se": largest, "df": treatment.df, "t_other": low}
    return Finding(
        f"{CHECK}.adjusted", CHECK, "contradiction", f"{treatment.id}, {other.id}, {first.id}",
        text, figures,
    )  # fmt: skip
