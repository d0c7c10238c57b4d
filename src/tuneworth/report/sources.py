"""How the intervals and tests of a report are computed, by whom, and how to cite them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SOURCES", "Source", "bibtex"]


@dataclass(frozen=True)
class Source:
    """`what` is computed so; `key`, `author`, ... are the entry's. `where`: journal and number, or the archive's."""

    what: str
    name: str
    key: str
    author: str
    title: str
    where: str
    year: int
    url: str


SOURCES = (
    Source("The interval of a mean score, and of a paired difference, over seeds", "Student's t", "student1908",
           "Student", "The Probable Error of a Mean", "Biometrika 6(1), 1-25", 1908, "https://doi.org/10.1093/biomet/6.1.1"),
    Source("Intervals for new data, where chance is in seeds and in test examples: the degrees of freedom", "Satterthwaite",
           "satterthwaite1946", "Satterthwaite, F. E.", "An Approximate Distribution of Estimates of Variance Components",
           "Biometrics Bulletin 2(6), 110-114", 1946, "https://doi.org/10.2307/3002019"),
    Source("The same: their variance, of seeds crossed with examples", "Owen's pigeonhole bootstrap, in closed form",
           "owen2007", "Owen, Art B.", "The Pigeonhole Bootstrap", "The Annals of Applied Statistics 1(2), 386-411", 2007,
           "https://arxiv.org/abs/0712.1111"),
    Source("Intervals with other training data, whose seeds share most of it", "Nadeau and Bengio's corrected t",
           "nadeau2003", "Nadeau, Claude and Bengio, Yoshua", "Inference for the Generalization Error",
           "Machine Learning 52, 239-281", 2003, "https://doi.org/10.1023/A:1024068626366"),
    Source("How far each method may be behind the best one, whichever that is", "Hsu's comparisons with the best, by Bonferroni",
           "hsu1981", "Hsu, Jason C.", "Simultaneous Confidence Intervals for all Distances from the \"Best\"",
           "The Annals of Statistics 9(5), 1026-1034", 1981, "https://doi.org/10.1214/aos/1176345582"),
    Source("Many comparisons judged together", "Holm", "holm1979", "Holm, Sture",
           "A Simple Sequentially Rejective Multiple Test Procedure", "Scandinavian Journal of Statistics 6(2), 65-70", 1979,
           "https://www.jstor.org/stable/4615733"),
    Source("The share of trials that collapse", "Wilson", "wilson1927", "Wilson, Edwin B.",
           "Probable Inference, the Law of Succession, and Statistical Inference",
           "Journal of the American Statistical Association 22, 209-212", 1927,
           "https://doi.org/10.1080/01621459.1927.10502953"),
    Source("Whether one method varies more than another", "Brown and Forsythe's distances, permuted within pairs", "brown1974",
           "Brown, Morton B. and Forsythe, Alan B.", "Robust Tests for the Equality of Variances",
           "Journal of the American Statistical Association 69, 364-367", 1974,
           "https://doi.org/10.1080/01621459.1974.10482955"),
    Source("Methods over several tasks", "the interquartile mean, as in rliable", "agarwal2021",
           "Agarwal, Rishabh and others", "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
           "arXiv 2108.13264", 2021, "https://arxiv.org/abs/2108.13264"),
    Source("The best validation score that one may expect of so many recipes", "expected validation performance", "dodge2019",
           "Dodge, Jesse and others", "Show Your Work: Improved Reporting of Experimental Results", "arXiv 1909.03004", 2019,
           "https://arxiv.org/abs/1909.03004"),
)  # fmt: skip
"""In the order in which a reader meets them; the docstrings of `tuneworth.stats` have the formulas."""


def bibtex() -> str:
    """All of them as BibTeX."""
    return "\n".join(
        f"@article{{{one.key},\n  author = {{{one.author}}},\n  title = {{{one.title}}},\n  journal = {{{one.where}}},\n"
        f"  year = {{{one.year}}},\n  url = {{{one.url}}}\n}}\n"
        for one in SOURCES
    )
