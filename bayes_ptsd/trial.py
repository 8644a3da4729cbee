"""The trial: treatments, sequences, endpoints and the sign convention.

A positive treatment difference always means that the active treatment is better. This module is
the only place that knows how that is brought about: `Endpoint.benefit_sign` for scores and
`printed_sign` for estimates as a paper prints them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Literal

from bayes_ptsd.display import listed
from bayes_ptsd.errors import SpecError, nearest, shown
from bayes_ptsd.inputs import LONGEST_TEXT, TomlTable, is_number, looks_like, read_toml

__all__ = [
    "PRINTED_SIGNS",
    "DataRules",
    "Endpoint",
    "Trial",
    "load_trial",
    "period_keys",
    "printed_sign",
]

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
}  # fmt: skip
KINDS = ("continuous", "ordinal", "binary")
DESIGNS = ("crossover", "parallel")
# categories of an ordinal endpoint: a visual analog scale of 100 mm has 101
MOST_CATEGORIES = 1000
# endpoints of a trial: every item of several questionnaires
MOST_ENDPOINTS = 1000
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

        The label of an event is left out too: the scores say what it made of them. So are columns
        of one period: patients are the same in either layout.
        """
        content = asdict(self)
        for key in ("source", "data"):
            del content[key]
        for key in self.columns.keys() & period_keys(self.endpoints):
            del content["columns"][key]
        for endpoint in content["endpoints"].values():
            del endpoint["event"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def period_keys(endpoints: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return the keys of [columns] for a column of one period, with what it holds and the period.

    ``period_1`` has the scores of period 1, ``baseline_1`` and ``treatment_1`` what belongs to
    them, ``pef_1`` the scores of endpoint ``pef``.
    """
    ids = set(endpoints)
    held = dict.fromkeys(("period", "baseline", "treatment", *sorted(ids)))
    keys = {f"{what}_{period}": (what, period) for what in held for period in (1, 2)}
    return {key: place for key, place in keys.items() if key not in ids}


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
        The description, validated against a closed schema. Texts are in composed letters (NFC),
        without blanks around them, and those for people have no control characters.

    Raises
    ------
    SpecError
        If the file is missing, is not TOML, has an unknown key or a value that is not allowed; file
        and key are named.

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
        shipped = resources.files("bayes_ptsd.evidence").joinpath("feder2014/trial.toml")
        return _trial(read_toml(shipped, "feder2014/trial.toml"))
    return _trial(read_toml(Path(path)))


def _trial(file: TomlTable) -> Trial:
    """Validate a parsed trial file."""
    file.only(TRIAL_KEYS)
    file.version()
    name, design = file.text("name"), file.one_of("design", DESIGNS)
    treatments = file.table("treatments")
    treatments.only({"active", "control"})
    active, control = treatments.name("active"), treatments.name("control")
    if looks_like(active) == looks_like(control):
        raise SpecError(f"{treatments.where}: active and control are both '{active}'")
    endpoints = _endpoints(file.table("endpoints", named=True))
    columns = file.table("columns")
    columns.only(COLUMN_KEYS.union(endpoints, period_keys(endpoints)))
    return Trial(
        name=name,
        title=file.text("title", name),
        design=design,
        active=active,
        control=control,
        endpoints=endpoints,
        sequences=_sequences(file.table("sequences", named=True), (active, control), design),
        columns={key: columns.name(key) for key in columns.content},
        visits=_visits(file.table("visits", named=True)),
        data=_data(file.table("data")),
        source=file.where,
    )


def _endpoints(tables: TomlTable) -> dict[str, Endpoint]:
    """Read every table below [endpoints]."""
    found = {key: _endpoint(key, table) for key, table in tables.tables()}
    if not 1 <= len(found) <= MOST_ENDPOINTS:
        raise SpecError(
            f"{tables.where} has {len(found)} tables; describe 1 to {MOST_ENDPOINTS} endpoints, as "
            "[endpoints.NAME]"
        )
    return found


def _endpoint(key: str, table: TomlTable) -> Endpoint:
    """Read one endpoint."""
    table.only(ENDPOINT_KEYS)
    kind = table.one_of("kind", KINDS)
    if "event" in table.content and kind != "binary":
        raise SpecError(f"{table.where}: 'event' is for binary endpoints; this one is {kind}")
    endpoint = Endpoint(
        id=key,
        label=table.text("label", key),
        kind=kind,
        better=table.one_of("better", ("lower", "higher")),
        unit=table.text("unit", "points"),
        range=_range(table, kind),
        mcid=table.positive("mcid"),
        mcid_basis=table.text("mcid_basis", "", longest=LONGEST_TEXT),
        reference_sd=table.positive("reference_sd"),
        residual_sd=table.positive("residual_sd"),
        domain=table.text("domain", ""),
        event=table.name("event") if "event" in table.content else "",
    )
    _refuse_wider(endpoint, table)
    return endpoint


def _range(table: TomlTable, kind: str) -> tuple[float, float] | None:
    """Read lowest and highest score: whole numbers where the scores are categories."""
    if "range" not in table.content:
        return None
    limits = table.content["range"]
    if not isinstance(limits, list) or len(limits) != 2 or not all(map(is_number, limits)):
        raise table.refuse("range", "[lowest, highest], two numbers from -1e15 to 1e15")
    low, high = map(float, limits)
    if not low < high:
        raise table.refuse("range", "[lowest, highest], the lowest first")
    if kind == "binary" and (low, high) != (0.0, 1.0):
        raise table.refuse("range", "[0, 1] or absent, as the endpoint is binary")
    whole = low.is_integer() and high.is_integer() and high - low < MOST_CATEGORIES
    if kind == "ordinal" and not whole:
        raise table.refuse("range", f"two whole numbers, for at most {MOST_CATEGORIES} categories")
    return low, high


def _refuse_wider(endpoint: Endpoint, table: TomlTable) -> None:
    """Refuse differences and standard deviations that no scores within the range can have."""
    if endpoint.range is None:
        return
    width = endpoint.range[1] - endpoint.range[0]
    for key in ("mcid", "reference_sd", "residual_sd"):
        if (getattr(endpoint, key) or 0.0) > width:
            raise table.refuse(key, f"at most {width:g}, the width of the range")


def _sequences(
    table: TomlTable, treatments: tuple[str, str], design: str
) -> dict[str, tuple[str, ...]]:
    """Read [sequences]: each a list of the trial's own treatments, one a period."""
    sequences = {}
    for key in table.content:
        order = table.names(key, "treatments")
        for treatment in order:
            if treatment not in treatments:
                raise SpecError(
                    f"{table.where} {shown(key)}: '{shown(treatment)}' is not one of the "
                    f"treatments {', '.join(sorted(treatments))}"
                )
        if (len(order) != 1) if design == "parallel" else (len(order) < 2):
            wanted = "one treatment" if design == "parallel" else "a treatment for each period"
            raise table.refuse(key, f"a list of {wanted}, as the design is {design}")
        sequences[key] = order
    if len(set(map(len, sequences.values()))) > 1:
        raise SpecError(f"{table.where}: every sequence needs as many periods as the others")
    return sequences


def _visits(table: TomlTable) -> dict[str, float]:
    """Read [visits]: hours, increasing."""
    visits = {key: table.number(key) for key in table.content}
    for (_, before), (key, hours) in itertools.pairwise(visits.items()):
        if before >= hours:
            raise table.refuse(key, f"in increasing order, so above {before:g} hours")
    return visits


def _data(table: TomlTable) -> DataRules:
    """Read [data]: how cells are to be read."""
    table.only(DATA_KEYS)
    return DataRules(
        decimal=table.one_of("decimal", (".", ","), "."),
        factors=table.names("factors", "column names"),
        replicates=table.one_of("replicates", ("refuse", "mean"), "refuse"),
    )
