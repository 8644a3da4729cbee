"""Priors, predictions and plans of a replication as tables on the screen."""

from __future__ import annotations

from typing import Any

from bayes_ptsd.cli._output import interval, number, say, show_mixture, show_table

__all__ = ["show_curve", "show_predictions", "show_prior", "show_sizes"]


def show_prior(document: dict[str, Any]) -> None:
    """Print a replication prior for people."""
    prior_, weak = document["prior"], document["weak_component"]
    title = f"Prior for a replication of {document['contrast'] or document['results'][0]}"
    low, high = prior_["interval95"]
    rows = [
        ["center", document["center_words"]],
        ["readings", ", ".join(f"{k} {v:.3g}" for k, v in document["readings"].items())
         if document["crossover"] else "one only"],
        *([["results", f"{len(document['results'])}, pooled with equal weight"]]
          if not document["crossover"] and len(document["results"]) > 1 else []),
        ["between trials", _between(document["heterogeneity"])],
        ["rests on", document["rests_on"]],
        ["robust component", f"{weak['formula']}, weight {weak['weight']:g}, worth "
         f"{weak['effective_size']:.3g} patients of a parallel trial"],
        ["mean, SD", f"{prior_['mean']:.2f}, {prior_['sd']:.2f} {document['unit']}"],
        ["95% interval", f"{low:.2f} to {high:.2f}, positive = {document['active']} better"],
        *([f"the same as {one['label']}", f"median {one['median']:.2f}, "
           f"{interval(one['interval95'], 2)}"] for one in [prior_.get("printed_scale")] if one),
        ["P(benefit)", number(prior_["prob_benefit"], 4)],
        ["distance of the mixture", f"{prior_['divergence']:.2g} nats"],
    ]  # fmt: skip
    show_table(f"{title}, {document['evidence_kind']} evidence", ["what", "value"], rows,
               prose=["value"])  # fmt: skip
    show_mixture("Mixture", prior_["components"])
    rows = [
        [f"{document['designs'][name]}", part, *(number(sizes[key], 1) for key in sizes)]
        for name, parts in document["worth"].items()
        for part, sizes in parts.items()
    ]
    show_table("Worth in patients of a stated design", ["design", "part", "ELIR", "moment",
               "Morita"], rows, prose=["part"])  # fmt: skip
    rows = [
        [f"{row['scale_in_sd']:g} SD", number(row["sd"]),
         f"{row['interval95'][0]:.2f} to {row['interval95'][1]:.2f}", number(row["elir"], 1)]
        for row in document["sensitivity"]
    ]  # fmt: skip
    show_table("Informative part by heterogeneity", ["between trials", "SD", "95% interval",
               "ELIR, parallel"], rows)  # fmt: skip


def _between(spread: dict[str, Any]) -> str:
    """Return the sd between trials in words, with the mass that the prior's own sd caps."""
    whole = f"half-normal({spread['scale_in_sd']:g} SD)"
    parts = [f"{line['capped_mass']:.2f} at {line['prior_sd']:.3g}" for line in spread["capped"]
             if line["capped_mass"] > 0.005]  # fmt: skip
    if not parts:
        return whole
    return f"{whole}; mass capped at the sd of a prior component: {', '.join(parts)}"


def show_predictions(rows: list[dict[str, Any]]) -> None:
    """Print predictions for people, one column a reading."""
    labels: list[tuple[str, Any]] = [
        ("SE of the replication", lambda r: number(r["replication"]["se"])),
        ("relative size", lambda r: number(r.get("relative_size"))),
        ("estimate, mean", lambda r: number(r["mean"])),
        ("estimate, 95% prediction interval",
         lambda r: f"{r['interval95'][0]:.1f} to {r['interval95'][1]:.1f}"),
        *((f"the same as {one['label']}", lambda r: interval(r["printed_scale"]["interval95"], 2))
          for one in [rows[0].get("printed_scale")] if one),
        ("P(same sign)", lambda r: number(r["same_sign"], 3)),
        ("P(two-sided P < .05, same direction)", lambda r: number(r["p_below_05"], 3)),
        *((f"P(sceptical P < .025), {name}", lambda r, k=name: number(r["sceptical_p"][k], 3))
          for name in rows[0].get("sceptical_p", ())),
        *((f"P(replication BF > {key})", lambda r, k=key: number(r["bayes_factor"][k], 3))
          for key in rows[0].get("bayes_factor", ())),
        *((f"P(BF over skeptical mixture > {key})",
           lambda r, k=key: number(r["skeptical_mixture"][k], 3))
          for key in rows[0].get("skeptical_mixture", ())),
    ]  # fmt: skip
    table = [[label, *(show(row) for row in rows)] for label, show in labels]
    first = rows[0]
    what = first["contrast"] or first["results"][0]
    title = f"Replication of {what}, centered by {first['center']}"
    columns = [row["reading"].replace("_", " ") or "value" for row in rows]
    show_table(f"{title}, {first['evidence_kind']} evidence", ["quantity", *columns], table)


def show_curve(curve: dict[str, Any], kind: str) -> None:
    """Print an assurance curve for people."""
    rows = [
        [str(row["n"]), number(row["complete"], 1), number(row["standard_error"]),
         number(row["same_sign"], 3), number(row["assurance"], 3),
         *(number(value, 3) for value in row["prob_quantiles"].values())]
        for row in curve["rows"]
    ]  # fmt: skip
    quantiles = [f"{float(key) * 100:g}%" for key in curve["rows"][0]["prob_quantiles"]]
    title = f"Assurance of {curve['goal']}; {curve['design']}; {kind} evidence; "
    noted = bool(curve["note"])
    if noted:
        rows = [[*line[:5], number(row["discounted"], 3), *line[5:]]
                for line, row in zip(rows, curve["rows"], strict=True)]  # fmt: skip
    columns = ["n", "complete", "SE", "P(estimate > 0)", "assurance"]
    columns += ["P(discounted)"] * noted + [f"P(goal's event), {q}" for q in quantiles]
    show_table(f"{title}ceiling {curve['ceiling']:.3f}", columns, rows)
    if curve["note"]:
        say(f"Note: {curve['note']}.")


def show_sizes(document: dict[str, Any]) -> None:
    """Print sample sizes for people."""
    rows = [
        [row["label"], str(row["n"]), str(row["per_group"]), number(row["complete"], 1),
         number(row["treatments"], 0), number(row["assurance"], 3), number(row["ceiling"], 3),
         number(row["patient_worth"])]
        for row in document["designs"]
    ]  # fmt: skip
    title = f"Smallest n with assurance {document['target']:g} of {document['goal']}"
    show_table(f"{title}; {document['evidence_kind']} evidence", ["design", "n", "per group",
               "complete", "treatments", "assurance", "ceiling", "one patient = parallel"],
               rows)  # fmt: skip
    if expected := document.get("expected_crossover_size"):
        values = [number(expected[key], 0) for key in ("mean", "q10", "q50", "q90")]
        title = "Crossover n over the posterior of the sd and the correlation"
        show_table(title, ["quantity", "mean", "10%", "50%", "90%"], [["n", *values]])
    if document["readings"]:
        weights = ", ".join(f"{name} {share:.3g}" for name, share in document["readings"].items())
        say(f"Readings of the row: {weights}.")
    if document["note"]:
        say(f"Note: {document['note']}.")
