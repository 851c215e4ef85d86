"""Evidence by nested sampling: the whole of the priors is searched, whatever the shape of the posterior.

Flat priors are a thousand times wider than what data leave of them, and a search that begins there spends most of its
time far from anything. Z = ∫ L dz = ∫ (L/q) q dz holds for any density q: here, for each parameter by itself, one tenth
flat and the rest a normal distribution four times as wide as that of the best fit. The search begins near the best fit,
and nothing within the priors is left out.

Sources: Skilling, Bayesian Anal. 1, 833 (2006); repartitioned priors, Chen, Hobson, Das & Gelderblom, Stat. Comput. 29,
835 (2019); computed by dynesty (Speagle, MNRAS 493, 3132 (2020)), the extra `evidence`.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pdfkit._checks import Array
from pdfkit.errors import PdfkitError, unwarned
from pdfkit.fitting.evidence import Evidence, Likelihood, laplace, normal

POINTS = 400
"""Live points: the standard error of ln Z is about √(H/POINTS), with H, the information, 10 to 40."""

WIDER, FLAT, NODES = 4.0, 0.1, 201

# Parameters from which on ellipsoids are emptier than walks are long.
MANY = 10

# ln Z that may be left in the live points when the search ends.
LEFT = 0.05

Tell = Callable[[int, float], None]


def check_dynesty() -> None:
    """Refuse nested sampling where dynesty is not installed (PdfkitError)."""
    if importlib.util.find_spec("dynesty") is None:
        raise PdfkitError(
            'evidence="nested" needs the package dynesty: install it (pip install "pdfkit-scattering[evidence]"), or '
            'leave evidence= at "laplace"'
        )


@dataclass(frozen=True, eq=False)
class Start:
    """The density that a search begins with: each parameter by itself near the best fit, or, one in ten, anywhere.

    nodes (k, m), from 0 to 1; share (k, m): what lies below each. The density is constant between nodes.
    """

    nodes: Array
    share: Array

    @classmethod
    def of(cls, likelihood: Likelihood, x: Array) -> Self:
        """Return that about the best fit x."""
        from scipy.special import ndtr

        _, shape = normal(likelihood, x)
        centre = np.clip(shape.mean, 0.0, 1.0)[:, None]
        sigma = np.minimum(WIDER * np.sqrt(np.diag(shape.covariance)), 1.0)[:, None]
        near = np.clip(centre + sigma * np.linspace(-5.0, 5.0, NODES), 0.0, 1.0)
        ends = np.zeros_like(centre), np.ones_like(centre)
        nodes = np.hstack([ends[0], near, ends[1]])
        below = ndtr((nodes - centre) / sigma)
        below = (below - below[:, :1]) / (below[:, -1:] - below[:, :1])
        return cls(nodes, FLAT * nodes + (1.0 - FLAT) * below)

    def points(self, uniform: Array) -> Array:
        """Return where parameters are for uniform numbers (k,): the inverse of the cumulative distribution."""
        return np.array([np.interp(*one) for one in zip(uniform, self.share, self.nodes, strict=True)])

    def ln_density(self, z: Array) -> float:
        """Return ln q at z (k,)."""
        out = 0.0
        for value, nodes, share in zip(z, self.nodes, self.share, strict=True):
            k = min(max(int(np.searchsorted(nodes, value, side="right")), 1), nodes.size - 1)
            while nodes[k] <= nodes[k - 1]:  # nodes beyond the limits stand on them
                k += 1 if nodes[k] < 1.0 else -1
            out += math.log((share[k] - share[k - 1]) / (nodes[k] - nodes[k - 1]))
        return out


def nested(likelihood: Likelihood, x: Array, seed: int = 0, points: int = POINTS, tell: Tell | None = None) -> Evidence:
    """Return ln Z over all of the priors by nested sampling; the same seed gives the same number.

    x : the best fit. points : live ones. tell : called with the evaluations so far and by how much ln Z may still rise.
    PdfkitError without dynesty.
    """
    check_dynesty()
    from dynesty import NestedSampler

    start, k = Start.of(likelihood, x), len(likelihood.priors)

    def ln_ratio(z: Array) -> float:
        return max(likelihood(z) - start.ln_density(z), -1e300)

    # Points of ellipsoids about the live ones in few dimensions, walks from them in many.
    how = {"sample": "unif", "bootstrap": 0, "enlarge": 1.3} if k < MANY else {"sample": "rwalk"}
    with _calm(), unwarned():  # on its own settings
        sampler = NestedSampler(ln_ratio, start.points, k, nlive=points, rstate=np.random.default_rng(seed), **how)
        for one in sampler.sample(dlogz=LEFT, add_live=True):
            if tell is not None and sampler.it % 100 == 0:
                tell(int(sampler.ncall), float(one.delta_logz))
    found = sampler.results
    return Evidence(float(found.logz[-1]), float(found.logzerr[-1]), laplace(likelihood, x), int(sampler.ncall))


@contextmanager
def _calm() -> Iterator[None]:
    """Print nothing while an error is on its way: dynesty would print where it was when somebody stopped it."""
    with redirect_stderr(_Calm(sys.stderr)), redirect_stdout(_Calm(sys.stdout)):
        yield


class _Calm:
    """A stream that takes nothing from where an error is handled, and else is another one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or leave it."""
        return len(text) if sys.exc_info()[0] is not None else int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
