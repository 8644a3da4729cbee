"""The trial: treatments, sequences, endpoints and the sign convention.

A positive treatment difference always means that the active treatment is better. This module is
the only place that knows how that is brought about: `Endpoint.benefit_sign` for scores and
`printed_sign` for estimates as a paper prints them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from bayes_ptsd.display import listed
from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys

__all__ = ["PRINTED_SIGNS", "DataRules", "Endpoint", "Trial", "load_trial", "printed_sign"]

TRIAL_KEYS = {
    "schema", "name", "title", "design", "treatments", "endpoints", "sequences", "columns", "data",
    "visits",
}  # fmt: skip
ENDPOINT_KEYS = {
    "label", "kind", "better", "unit", "range", "mcid", "mcid_basis", "reference_sd", "residual_sd",
    "domain", "event",
}  # fmt: skip
DATA_KEYS = {"decimal", "factors", "replicates"}
COLUMN_KEYS = {
    "subject", "sequence", "period", "treatment", "endpoint", "value", "visit", "baseline",
    "period_1", "period_2",
}  # fmt: skip
KINDS = ("continuous", "ordinal", "binary")
DESIGNS = ("crossover", "parallel")
PRINTED_SIGNS = ("benefit-positive", "active-minus-control", "control-minus-active")


@dataclass(frozen=True)
class Endpoint:
    """One outcome of a trial."""

    id: str
    label: str
    kind: Literal["continuous", "ordinal", "binary"]
    better: Literal["lower", "higher"]  # direction in which a patient improves
    unit: str = "points"
    range: tuple[float, float] | None = None  # lowest and highest possible score
    mcid: float | None = None  # minimal clinically important difference, positive, score units
    mcid_basis: str = ""  # where the MCID comes from
    reference_sd: float | None = None  # total SD of the score: standardized effects, prior scales
    residual_sd: float | None = None  # SD of the score given its baseline
    domain: str = ""  # what it measures, shared by endpoints whose effects may inform each other
    event: str = ""  # label in the data that counts as 1, of a binary endpoint

    def __repr__(self) -> str:
        """Show what was given, without the grounds of the MCID."""
        own = {one.name: getattr(self, one.name) for one in fields(self)
               if one.name != "mcid_basis" and getattr(self, one.name) != one.default}  # fmt: skip
        return f"Endpoint({', '.join(f'{name}={value!r}' for name, value in own.items())})"

    @property
    def benefit_sign(self) -> int:
        """Factor that turns active minus control into benefit: +1 if higher is better, else -1."""
        return 1 if self.better == "higher" else -1


@dataclass(frozen=True)
class DataRules:
    """How the cells of a patient file are to be read, where it is not the usual way."""

    decimal: Literal[".", ","] = "."  # mark of numbers that are text
    factors: tuple[str, ...] = ()  # covariates whose numbers are codes of categories
    replicates: Literal["refuse", "mean"] = "refuse"  # several scores of one patient and period


@dataclass(frozen=True)
class Trial:
    """A two-treatment trial as described by its `trial.toml`.

    Attributes
    ----------
    name, title : str
        Short name and full title.
    design : {"crossover", "parallel"}
        Design of the trial.
    active, control : str
        Labels of the two treatments.
    endpoints : mapping of str to Endpoint
        Outcomes by id.
    sequences : mapping of str to tuple of str
        Label in the data to the order of treatments; empty if it is to be inferred.
    columns : mapping of str to str
        Own column names of a patient file, by the name used here.
    visits : mapping of str to float
        Hours after treatment, in order.
    data : DataRules
        How the cells of a patient file are read; what they say is evidence, not this.
    source : str
        Where the description was read.

    Examples
    --------
    >>> trial = load_trial()
    >>> trial.active, trial.endpoint("ies_r").mcid
    ('ketamine', 7.2)
    """

    name: str
    title: str
    design: Literal["crossover", "parallel"]
    active: str
    control: str
    endpoints: Mapping[str, Endpoint]
    sequences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    visits: Mapping[str, float] = field(default_factory=dict)
    data: DataRules = field(default=DataRules(), compare=False)
    source: str = field(default="", compare=False)

    def __repr__(self) -> str:
        """Say in a line what is compared on which endpoints."""
        return (
            f"Trial({self.name!r}, {self.design}: {self.active!r} against {self.control!r}, "
            f"endpoints {listed(self.endpoints)})"
        )

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Return the endpoint called `endpoint_id`.

        Raises
        ------
        SpecError
            If the trial has no such endpoint; the message has the nearest name.
        """
        if endpoint_id not in self.endpoints:
            raise SpecError(
                f"trial '{self.name}' has no endpoint '{endpoint_id}'"
                f"{nearest(endpoint_id, self.endpoints)}"
            )
        return self.endpoints[endpoint_id]

    @property
    def digest(self) -> str:
        """SHA-256 of the description, without the place it was read from and how cells are read.

        The label of an event is left out too: the scores say what it made of them.
        """
        content = asdict(self)
        for key in ("source", "data"):
            del content[key]
        for endpoint in content["endpoints"].values():
            del endpoint["event"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def printed_sign(sign_as_printed: str, endpoint: Endpoint) -> int:
    """Return the factor (+1 or -1) that turns a printed estimate into a benefit-positive one.

    `sign_as_printed` is benefit-positive, active-minus-control or control-minus-active; the
    endpoint decides for the arithmetic two.
    """
    signs = dict(
        zip(PRINTED_SIGNS, (1, endpoint.benefit_sign, -endpoint.benefit_sign), strict=True)
    )
    if sign_as_printed not in signs:
        raise SpecError(f"sign_as_printed '{sign_as_printed}'{nearest(sign_as_printed, signs)}")
    return signs[sign_as_printed]


def load_trial(path: str | Path | None = None) -> Trial:
    """Read a trial description.

    Parameters
    ----------
    path : str or Path, optional
        A `trial.toml`; without it, the ketamine trial of Feder et al. 2014 [1]_ that ships with
        the package.

    Returns
    -------
    Trial
        The description, validated against a closed schema.

    Raises
    ------
    SpecError
        If the file is missing, is not TOML, has an unknown key or a value that is not allowed.

    References
    ----------
    .. [1] Feder A et al. Efficacy of intravenous ketamine for treatment of chronic posttraumatic
       stress disorder. JAMA Psychiatry 2014;71(6):681-688.

    Examples
    --------
    >>> load_trial().sequences["MK"]
    ('midazolam', 'ketamine')
    """
    if path is None:
        text = resources.files("bayes_ptsd.evidence").joinpath("feder2014/trial.toml").read_text()
        return _trial(_parse(text, "feder2014/trial.toml"), "feder2014/trial.toml")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read as a trial file ({error})") from error
    return _trial(_parse(text, str(path)), str(path))


def _parse(text: str, where: str) -> dict[str, Any]:
    """Parse TOML, naming the file in the error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{where}: not valid TOML: {error}") from error


def _trial(content: dict[str, Any], where: str) -> Trial:
    """Validate a parsed trial file."""
    refuse_unknown_keys(content, TRIAL_KEYS, where, error=SpecError)
    if content.get("schema") != 1:
        raise SpecError(f"{where}: 'schema' is {content.get('schema')!r}; write 'schema = 1'")
    treatments = _table(content, "treatments", where)
    refuse_unknown_keys(treatments, {"active", "control"}, f"{where} [treatments]", error=SpecError)
    active, control = (
        _text(treatments, key, f"{where} [treatments]") for key in ("active", "control")
    )
    if active == control:
        raise SpecError(f"{where} [treatments]: active and control are both '{active}'")
    columns = _optional_table(content, "columns", where)
    endpoints = _endpoints(content, where)
    refuse_unknown_keys(
        columns, COLUMN_KEYS | set(endpoints), f"{where} [columns]", error=SpecError
    )
    return Trial(
        name=_text(content, "name", where),
        title=content.get("title", content["name"]),
        design=_one_of(content, "design", DESIGNS, where),
        active=active,
        control=control,
        endpoints=endpoints,
        sequences=_sequences(content, {active, control}, where),
        columns=columns,
        visits=_visits(content, where),
        data=_data(content, where),
        source=where,
    )


def _endpoints(content: dict[str, Any], where: str) -> dict[str, Endpoint]:
    """Read every table below [endpoints]."""
    tables = _table(content, "endpoints", where)
    if not tables:
        raise SpecError(f"{where}: [endpoints] is empty; describe at least one endpoint")
    return {key: _endpoint(key, tables[key], f"{where} [endpoints.{key}]") for key in tables}


def _endpoint(key: str, table: Any, where: str) -> Endpoint:
    """Read one endpoint."""
    if not isinstance(table, dict):
        raise SpecError(f"{where}: must be a table")
    refuse_unknown_keys(table, ENDPOINT_KEYS, where, error=SpecError)
    limits = table.get("range")
    if limits is not None:
        if len(limits) != 2 or not all(map(_is_number, limits)) or limits[0] >= limits[1]:
            raise SpecError(f"{where}: 'range' must be [lowest, highest], got {limits}")
        limits = (float(limits[0]), float(limits[1]))
    return Endpoint(
        id=key,
        label=table.get("label", key),
        kind=_one_of(table, "kind", KINDS, where),
        better=_one_of(table, "better", ("lower", "higher"), where),
        unit=table.get("unit", "points"),
        range=limits,
        mcid=_positive(table, "mcid", where),
        mcid_basis=table.get("mcid_basis", ""),
        reference_sd=_positive(table, "reference_sd", where),
        residual_sd=_positive(table, "residual_sd", where),
        domain=table.get("domain", ""),
        event=table.get("event", ""),
    )


def _sequences(
    content: dict[str, Any], treatments: set[str], where: str
) -> dict[str, tuple[str, ...]]:
    """Read [sequences]: each a list of the trial's own treatments."""
    listed = _optional_table(content, "sequences", where)
    for key, order in listed.items():
        if not isinstance(order, list):
            raise SpecError(
                f"{where} [sequences] {key}: must be a list of treatments, got {order!r}"
            )
    sequences = {key: tuple(order) for key, order in listed.items()}
    for key, order in sequences.items():
        stranger = [treatment for treatment in order if treatment not in treatments]
        if stranger:
            raise SpecError(
                f"{where} [sequences] {key}: '{stranger[0]}' is not one of the treatments "
                f"{sorted(treatments)}"
            )
    return sequences


def _visits(content: dict[str, Any], where: str) -> dict[str, float]:
    """Read [visits]: hours, increasing."""
    visits = _optional_table(content, "visits", where)
    hours = list(visits.values())
    if not all(map(_is_number, hours)) or any(a >= b for a, b in itertools.pairwise(hours)):
        raise SpecError(f"{where} [visits]: hours must be numbers in increasing order, got {hours}")
    return {key: float(value) for key, value in visits.items()}


def _data(content: dict[str, Any], where: str) -> DataRules:
    """Read [data]: how cells are to be read."""
    table, place = _optional_table(content, "data", where), f"{where} [data]"
    refuse_unknown_keys(table, DATA_KEYS, place, error=SpecError)
    given = {"decimal": ".", "replicates": "refuse", "factors": []} | table
    factors = given["factors"]
    if not isinstance(factors, list) or not all(isinstance(name, str) for name in factors):
        raise SpecError(f"{place}: 'factors' must be a list of column names, got {factors!r}")
    return DataRules(
        decimal=_one_of(given, "decimal", (".", ","), place),
        factors=tuple(factors),
        replicates=_one_of(given, "replicates", ("refuse", "mean"), place),
    )


def _table(content: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return a required table."""
    if not isinstance(content.get(key), dict):
        raise SpecError(f"{where}: table [{key}] is missing or not a table")
    return content[key]  # type: ignore[no-any-return]


def _optional_table(content: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """Return a table that may be absent."""
    return _table(content, key, where) if key in content else {}


def _text(content: dict[str, Any], key: str, where: str) -> str:
    """Return a required text."""
    if not isinstance(content.get(key), str) or not content[key]:
        raise SpecError(f"{where}: '{key}' is missing or not a text")
    return content[key]  # type: ignore[no-any-return]


def _one_of(content: dict[str, Any], key: str, allowed: tuple[str, ...], where: str) -> Any:
    """Return a required text of a closed list."""
    value = content.get(key)
    if value not in allowed:
        raise SpecError(f"{where}: '{key}' must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _positive(table: dict[str, Any], key: str, where: str) -> float | None:
    """Return an optional positive number."""
    value = table.get(key)
    if value is None:
        return None
    if not _is_number(value) or value <= 0:
        raise SpecError(f"{where}: '{key}' must be a positive number, got {value!r}")
    return float(value)


def _is_number(value: object) -> bool:
    """Tell finite numbers from everything else (bool is no number here)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
