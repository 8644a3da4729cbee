"""Forecasts of trials whose results are pending, sealed by a digest over their content.

`python validation/seal_forecasts.py` writes a forecast that is not there yet and never changes one
that is; with `--score NAME --estimate D --se S` it scores a sealed one by the standardized
difference (positive = ketamine better) that was printed. What a forecast is of, and how it is to be
scored, stands in `validation/forecasts/README.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from score_forecasts import (
    FOLDER,
    PRIORS,
    WEAK,
    forecasts_digest,
    normal_effect,
    ptsd_effect,
    rounded,
    scored_mixture,
)

from bayes_ptsd.exact.mixture import Mixture

SEALED = "2026-12-01"
PROBABILITIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
# two-sided .05, in standard errors
CRITICAL = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Pending:
    """A trial whose results are not known."""

    title: str
    registration: str
    sources: tuple[str, ...]
    quantity: str
    arms: tuple[int, int]  # ketamine, control: as planned or enrolled, split evenly
    assumptions: tuple[str, ...]

    @property
    def se(self) -> float:
        """The standard error of a standardized difference of two arms of this size."""
        return float(np.sqrt(sum(1 / n for n in self.arms)))


PENDING: Mapping[str, Pending] = {
    "shiroma-nct04560660": Pending(
        title="Ketamine-enhanced prolonged exposure therapy in PTSD, veterans",
        registration="NCT04560660",
        sources=("https://meddatax.com/clinical-trials/NCT04560660",
                 "https://trial.medpath.com/clinical-trial/3089e8dd414d51c2/"
                 "repeated-ketamine-treatment-accelerate-efficacy-prolonged-exposure-ptsd"),
        quantity="CAPS-5, change from baseline to after treatment (10 weeks): difference of "
        "ketamine and midazolam, both with prolonged exposure, over the SD of a patient",
        arms=(38, 37),
        assumptions=("75 patients enrolled, taken as 38 and 37, all of them rated",
                     "one infusion a week for three weeks acts as the one infusion of Feder 2014 "
                     "did after a day, but for the differences between trials",
                     "prolonged exposure in both arms leaves the difference as it is"),
    ),
    "yale-week-long-psychotherapy": Pending(
        title="Week-long psychotherapy for PTSD with ketamine, 0.5 mg/kg against midazolam",
        registration="not in the address below",
        sources=("https://www.moreblossom.com/trials/"
                 "enhancing-week-long-psychological-treatment-for-ptsd-with-ketamine",),
        quantity="CAPS-5 at 7 days: difference of ketamine 0.5 mg/kg and midazolam, both with a "
        "week of trauma-focused psychotherapy, over the SD of a patient",
        arms=(54, 54),
        assumptions=("162 patients planned, taken as 54 in each of three arms, all of them rated",
                     "two infusions act as the one infusion of Feder 2014 did after a day, but for "
                     "the differences between trials",
                     "psychotherapy in both arms leaves the difference as it is",
                     "nothing is foretold of the arm with 0.2 mg/kg, a dose Feder 2014 did not "
                     "give"),
    ),
}  # fmt: skip


def effects() -> dict[str, Mixture]:
    """Return every forecaster's distribution of the true difference in another trial, SDs."""
    own = {name: ptsd_effect(prior) for name, prior in PRIORS.items()}
    return {**own, "vague": normal_effect(WEAK)}


def forecast(trial: Pending) -> dict[str, Any]:
    """Return quantiles and probabilities of true difference and printed estimate, SDs."""
    return {name: _told(effect, trial.se) for name, effect in effects().items()}


def _told(effect: Mixture, se: float) -> dict[str, Any]:
    """Return what one forecaster says."""
    estimate = effect.widened(se)
    above = 1 - estimate.below(np.array([0.0, CRITICAL * se]))
    return {
        "true_difference": _quantiles(effect),
        "estimate": _quantiles(estimate),
        "prob_benefit": float(1 - effect.below(np.zeros(1))[0]),
        "prob_estimate_favors_ketamine": float(above[0]),
        "prob_p_below_05_for_ketamine": float(above[1]),
        "prob_p_below_05_for_control": float(estimate.below(np.array([-CRITICAL * se]))[0]),
    }


def _quantiles(found: Mixture) -> dict[str, float]:
    """Return quantiles by probability."""
    return dict(zip(map(str, PROBABILITIES), found.quantile(PROBABILITIES).tolist(), strict=True))


def document_of(name: str) -> dict[str, Any]:
    """Return a forecast with everything that it rests on and its seal."""
    trial = PENDING[name]
    content = rounded({
        "schema": 1,
        "trial": trial.title,
        "registration": trial.registration,
        "sources": list(trial.sources),
        "sealed": SEALED,
        "quantity": trial.quantity,
        "sign": "positive = ketamine better",
        "arms": list(trial.arms),
        "se": trial.se,
        "assumptions": list(trial.assumptions),
        "rests_on": "T2.IESR.F of Feder 2014: IES-R at 24 h, first period, alone",
        "main": next(iter(PRIORS)),
        "forecasts": forecast(trial),
        "model_digest": forecasts_digest(),
    })  # fmt: skip
    return {**content, "seal": seal_of(content)}


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a forecast without its seal, keys sorted, no blanks."""
    kept = {key: value for key, value in content.items() if key != "seal"}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def path_of(name: str) -> Path:
    """Return where a forecast is."""
    return FOLDER / f"{name}.json"


def read_sealed(name: str) -> dict[str, Any]:
    """Return a sealed forecast; one that was changed is refused."""
    found: dict[str, Any] = json.loads(path_of(name).read_text(encoding="utf-8"))
    if found.get("seal") != seal_of(found):
        raise SystemExit(f"{path_of(name)}: the seal does not hold; take the committed file")
    return found


def scores_of(name: str, estimate: float, se: float) -> dict[str, Any]:
    """Return the scores of a sealed forecast: printed standardized difference, standard error."""
    read_sealed(name)
    return {who: scored_mixture(one.widened(se), estimate) for who, one in effects().items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Seal what is not sealed yet, or score what is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--score", choices=sorted(PENDING), help="forecast whose trial is known")
    parser.add_argument("--estimate", type=float, help="standardized difference, ketamine up")
    parser.add_argument("--se", type=float, help="its standard error")
    asked = parser.parse_args(arguments)
    if asked.score:
        if asked.estimate is None or asked.se is None:
            parser.error("--score needs --estimate and --se")
        print(json.dumps(scores_of(asked.score, asked.estimate, asked.se), indent=1))
        return
    for name in PENDING:
        if path_of(name).exists():
            read_sealed(name)
            print(f"{name}: sealed, left as it is")
            continue
        text = json.dumps(document_of(name), indent=1, ensure_ascii=False) + "\n"
        path_of(name).write_text(text, encoding="utf-8")
        print(f"{name}: sealed now")


if __name__ == "__main__":
    main()
