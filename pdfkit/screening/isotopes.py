"""Isotopes, which X-rays and electrons do not tell apart: a candidate and its labelled twin are one before these."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from pdfkit.particles.particle import Particle
from pdfkit.screening.tasks import Problem


def plain(particle: Particle, problem: Problem) -> Particle:
    """Return a particle with the names of elements for those of isotopes, where no data tell them apart.

    Isotopes beside others of their element keep their names: they have displacements of their own.
    """
    names = [re.sub(r"^[DT](?=[\d.]*[+-]?$)", "H", re.sub(r"^\d+-", "", one)) for one in particle.elements]
    if names == list(particle.elements) or not isotopes_alike(problem):
        return particle
    often = Counter(names)
    names = [name if often[name] == 1 else own for name, own in zip(names, particle.elements, strict=True)]
    order = np.argsort(names)
    place = np.argsort(order)
    return replace(particle, elements=tuple(names[k] for k in order), kind=place[particle.kind])


def isotopes_alike(problem: Problem) -> bool:
    """Whether nothing was measured with neutrons."""
    curves = [one.instrument.probe for one in (problem.data, *problem.more.values())]
    return "N" not in {*curves, *(one.probe for one in problem.patterns.values())}
