"""Particle shapes: the characteristic function γ₀(r), with analytic derivatives.

γ₀(r) is the fraction of a particle's volume that stays inside it when shifted by r, averaged over directions:
1 at r = 0, 0 beyond the longest chord, slope −S/(4V) at r = 0 (surface over volume), ∫4πr²γ₀ dr = V. A phase
of finite particles has the pairs of the crystal, each with γ₀ at its own distance [Gilbert 2008, Usher et al. 2018].
Lengths are *diameters*, in Å.

    shape             parameters              form
    Bulk              –                       1
    Sphere            spdiameter              1 − 3x/2 + x³/2, x = r/D < 1
    LognormalSpheres  spdiameter, spsigma     volume-weighted average of Sphere, closed form
    Spheroid          equatorial, axis_ratio  orientation average of Sphere, closed form
    Shell             spdiameter, thickness   overlaps of two concentric spheres, closed form
    Sheet             thickness               1 − r/2t within t, t/2r beyond
    Rod               diameter, length        orientation average of a cylinder, quadrature (≤ 1e-13)
    Stepcut           stepcut                 1 up to stepcut, 0 beyond
    Tabulated         stretch                 the user's table, γ₀(r/stretch)

A core–shell particle is two phases: the core with `Sphere`, the shell with `Shell`; the pairs between two
unlike lattices are then left out, as they are in any sum of phases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any

from pdfkit.errors import ParameterError, nearest
from pdfkit.shapes.averages import LognormalSpheres, Rod, Spheroid, number_mean, volume_mean
from pdfkit.shapes.simple import Bulk, Shape, ShapeParameter, Sheet, Shell, Sphere, Stepcut, Tabulated
from pdfkit.shapes.simple import Whole as Whole

__all__ = [
    "SHAPES",
    "Bulk",
    "LognormalSpheres",
    "Rod",
    "Shape",
    "ShapeParameter",
    "Sheet",
    "Shell",
    "Sphere",
    "Spheroid",
    "Stepcut",
    "Tabulated",
    "from_kind",
    "number_mean",
    "volume_mean",
]


def __dir__() -> list[str]:
    return __all__


SHAPES: Mapping[str, type[Shape]] = MappingProxyType(
    {shape.kind: shape for shape in (Bulk, Sphere, LognormalSpheres, Spheroid, Shell, Sheet, Rod, Stepcut, Tabulated)}
)


def from_kind(kind: str, **params: Any) -> Shape:
    """Return the shape called `kind` in `SHAPES` with the parameters `params`, as recipes write it.

    Raises ParameterError for an unknown kind, and for a parameter that the shape lacks or that is missing.

    Example
    -------
    >>> from pdfkit import shapes
    >>> shapes.from_kind("rod", diameter=20, length=60)
    Rod(diameter=20.0, length=60.0)
    >>> sorted(shapes.SHAPES)
    ['bulk', 'lognormal', 'rod', 'sheet', 'shell', 'sphere', 'spheroid', 'stepcut', 'tabulated']
    """
    if kind not in SHAPES:
        raise ParameterError(f"shape {kind!r} is not known: did you mean {nearest(str(kind), SHAPES)}?", key="kind")
    shape = SHAPES[kind]
    known = {f.name: f.default is MISSING for f in fields(shape)}
    takes = f"a {kind} takes {', '.join(known) or 'no parameters'}"
    for name in params:
        if name not in known:
            raise ParameterError(f"shape {kind!r} has no parameter {name!r}: {takes}", key=name)
    missing = [name for name, needed in known.items() if needed and name not in params]
    if missing:
        raise ParameterError(f"shape {kind!r} lacks {', '.join(missing)}: {takes}")
    return shape(**params)
