"""How to cite the program and the trial: the words of CITATION.cff, as text and as BibTeX."""

from __future__ import annotations

from bayes_ptsd import __version__

__all__ = ["citations"]

AUTHORS = (
    "Adriana Feder", "Michael K. Parides", "James W. Murrough", "Andrew M. Perez",
    "Julia E. Morgan", "Shireen Saxena", "Katherine Kirkwood", "Marije {aan het Rot}",
    "Kyle A. B. Lapidus", "Le-Ben Wan", "Dan Iosifescu", "Dennis S. Charney",
)  # fmt: skip
TITLE = (
    "Efficacy of Intravenous Ketamine for Treatment of Chronic Posttraumatic Stress Disorder: "
    "A Randomized Clinical Trial"
)
DOI = "10.1001/jamapsychiatry.2014.62"


def citations() -> list[dict[str, str]]:
    """Return what to cite (``what``, ``text``, ``bibtex``): first the program, then the trial."""
    program = "bayes_ptsd: Bayesian reanalysis of randomized crossover trials"
    bibtex = (
        f"@software{{bayes_ptsd,\n  title = {{{program}}},\n  author = {{{{The bayes_ptsd "
        f"developers}}}},\n  version = {{{__version__}}}\n}}"
    )
    article = (
        f"@article{{feder2014,\n  title = {{{TITLE}}},\n  author = {{{' and '.join(AUTHORS)}}},\n"
        "  journal = {JAMA Psychiatry},\n  year = {2014},\n  volume = {71},\n  number = {6},\n"
        f"  pages = {{681--688}},\n  doi = {{{DOI}}}\n}}"
    )
    return [
        {
            "what": "program",
            "text": f"The bayes_ptsd developers. {program}. Version {__version__}.",
            "bibtex": bibtex,
        },
        {
            "what": "trial",
            "text": f"Feder A, Parides MK, Murrough JW, et al. {TITLE}. JAMA Psychiatry. "
            f"2014;71(6):681-688. doi:{DOI}",
            "bibtex": article,
        },
    ]
