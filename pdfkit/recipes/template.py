"""The commented recipe to start from: wurtzite and zinc blende intergrown in one nanoparticle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike

_TEMPLATE = """\
# Recipe of a fit: run it with   pdfkit fit {name}
# Paths are relative to this file. Lengths in Å, Q in Å⁻¹, U in Å². Lines after # are comments; remove the # to use one.

# The title heads the report and the picture.
title = {title}

# --- A series of scans, the table [series], which are all fitted as this file says:   pdfkit series {name}
# (while they come into a folder:   pdfkit watch run42 {name})
# series.files = "run42/*.gr"     # a pattern, files, a folder, or an HDF5 file of scan × r or x × y × r
# series.index = "temperature"    # a key of their headers; or "{{temperature}}K", a part of their names;
#                                 # or "log.csv:T", a column of a table that names the files; or numbers
# series.name = "temperature"     # what the index is, and its unit, where that does not say it
# series.unit = "K"
# series.sort = true              # by rising index; false: in the natural order of the names
# series.shape = [64, 64]         # of a map that comes as files, x the slow one
# series.reduce = {{ composition = "{material}", qmax = 22 }}   # for intensities: settings of pdfkit reduce
# series.how = "sequential"       # from neighbours, both ways; "independent": each from the start values;
#                                 # "parametric": by laws of the index; "windows" of r; "map": neighbours are alike
# series.block = 32               # scans between two that are fitted from the start values
# series.curves = false           # keep data and fit of every scan
# series.laws = {{ a = "linear", Uiso = "debye", c = "c0 + c1*temperature" }}   # [fit] free: each scan's own
# series.shared = ["delta2"]      # what all scans have the same
# series.start = {{ c0 = 6.7, c1 = 1e-5 }}   # of parameters of expressions
# series.window = 8.0             # Å, width of windows of r, and
# series.step = 4.0               # Å, from one to the next
# series.mapped = ["a"]           # what neighbours share; left out: all that is free
# series.rounds = 2               # how often places are looked at again where the map is

# --- Patterns of the same particles beside G(r), for phases that are clusters: a table each, here or as [[pattern]].
# pattern = [                     # scale and background have their best values; free radius, fraction, zero by name
#     {{ file = "saxs.dat", kind = "saxs", name = "saxs", qmin = 0.03, qmax = 0.6, probe = "X", weight = 1.0 }},
#     {{ file = "f.dat", kind = "saxs", name = "f", packing = "hexagonal", spacing = 20.5, disorder = 2, domain = 90 }},
#     {{ file = "s.dat", kind = "saxs", name = "s", packing = "hard-spheres", radius = 9, fraction = 0.1, reach = 90 }},
#     {{ file = "toluene.dat", kind = "saxs", name = "toluene", solvent = 0.28, atomic_volume = 24.8 }},
#     {{ file = "powder.xy", kind = "xrd", unit = "2theta", wavelength = 1.5406, degree = 5, zero = 0.0, fwhm = 0.1 }},
#     {{ file = "lab.xy", kind = "xrd", name = "lab", polarisation = "unpolarised", monochromator = 26.6 }},
# ]

# --- What was measured. For several data sets write [[data]] twice or more, each with its own name:
# --- then scale, qdamp and resolution exist once per data set ("xray.zb.scale"), everything else is shared.
[data]
file = {file}
# name = "xray"                   # a short word; needed where there are several
probe = {probe:<26}# "X" (X-rays), "N" (neutrons) or "E" (electrons)
qmin = {qmin!s:<27}# limits of the sine transform that made G(r); qmax = inf for none
qmax = {qmax}
qdamp = {qdamp!s:<26}# damping of the instrument, from a standard such as Ni or LaB6
# resolution = 0.0                # ΔQ/Q of the instrument, such as 0.004, from the same standard
# qbroad = 0.0                    # in place of resolution, for data calibrated in PDFgui
# qtail = 0.0                     # exponential tail of lines towards low Q in Å⁻¹, as of pulsed neutrons
window = {window:<25}# "none", "lorch", "lorch-unscaled", "lorch-soper", "hann", "welch", "gaussian"
# window_width = 0.5              # width in r of "lorch-soper" and "gaussian"
# scattering = "q-dependent"      # form factors f(Q) of X-rays and electrons; "constant": those at Q = 0, as in PDFgui
# wavelength = 0.1836             # of the X-rays in Å, if the header does not have it: needed by
# anomalous = true                # f = f0(Q) + f' + if", the anomalous terms of xraylib at that wavelength
# r_unit = "A"                    # "nm" for files in nm
# kind = "G"                      # or "GK" (Keen's G(r)), "D", "T", "R", "g", "g-1": these are converted
# composition = "{material}"            # by the neutron lengths of what it is made of,
# rho0 = 0.04                     # and by its number density in atoms/Å³
rmin = {rmin!s:<27}# range to fit
rmax = {rmax}
# weight = 1.0                    # of several data sets: what its χ² is multiplied with in what is minimised
# Left out, probe to window come from the header of the file.

# --- What it is made of: one [[phase]] table each. Parameters are called phase.what: wz.a, wz.Cd.Uiso, wz.spdiameter.
[[phase]]
name = "wz"
structure = "{material}_wurtzite"      # a file (CIF, PDFfit .stru, .xyz, ...), or one of `pdfkit structures`
shape = {{kind = "sphere", spdiameter = {spdiameter}}}   # leave it out for a bulk crystal; others:
#   {{kind = "lognormal", spdiameter = 30, spsigma = 3}}, "spheroid", "shell", "sheet", "rod", "stepcut", "tabulated"
delta2 = 3.0                      # correlated motion: peaks sharpen as 1 - delta1/r - delta2/r²
# delta1 = 0.0
# sratio = 1.0                    # or: widths × sratio where r < rcut
# rcut = 0.0
# scale = 1.0                     # a free scale finds its own start value
# molecules = "find"              # pairs in a molecule have an own width, inner.Uiso; or labels: [["C1", "O1", "O2"]]
# inner = 0.002                   # Å², its start; by element {{C = 0.001, H = 0.005}}
# rigid = true                    # molecules move as bodies: mol1.x, y, z, mol1.rx, ry, rz (turns in °), mol1.size
# anisotropic = true              # U11 ... for every site, or for a list of labels: ["{cation}"]; false: Uiso for all
# mix = {{ "{cation}" = {{ {cation} = 0.9, Zn = 0.1 }} }}   # several elements on a site, which share position and U
# block = "phase_2"                # of a CIF that has several data blocks
# ions = true                     # X-rays see the ions whose charges the file states, or {{ Na = 1, Cl = -1 }}
# symmetry = "find"                # look for the space group where a file lists every atom (.stru, ase, databases),
# tolerance = 0.01                 # within so many Å
start = {{"{cation}.Uiso" = {ucation}, "{anion}.Uiso" = {uanion}}}   # start values of any other parameter of the phase

[[phase]]
name = "zb"
structure = "{material}_zincblende"
shape = {{kind = "sphere", spdiameter = {spdiameter}}}
delta2 = 3.0

# --- Two other kinds of [[phase]]. A cluster, computed atom by atom; an .xyz file is one without saying so:
#   kind = "cluster"
#   structure = "my.xyz"          # or a cluster from `pdfkit structures`
#   expansion = 0.0               # all distances × (1 + expansion); and along x, y, z: axial = [0, 0, 0]
#   surface = true                # under-coordinated atoms get a Uiso of their own
#   moves = "atoms"               # displacements are parameters, Cd1.x …; or "symmetric", "modes", "shells"
#   baseline = "auto"             # small angles: "none", "sphere", "own"; auto: none with a qmin, else own
# Random stacking of layers, between zinc blende (alpha = 0) and wurtzite (alpha = 1); needs no structure:
#   kind = "stacked"
#   elements = ["{cation}", "{anion}"]
#   a_h = 4.29                    # Å, side of the triangular lattice; h = 3.50 Å, distance of layers; u = 0.375
#   alpha = 0.5                   # or alpha_c = 0.3 and alpha_h = 0.6, after a cubic and after a hexagonal layer
#   Ulayer = 0.0                  # Å², growth of the variance along the stack per layer
#   layers = 8                    # a platelet of so many layers, of diameter = 30 (Å), instead of a shape

# [beam] in place of [[data]] says how `pdfkit live` shows a model without data: keys of [data], and rmax.

[fit]
# Names are matched by their ending: "a" is wz.a and zb.a, "{cation}.Uiso" that of both phases, "wz.*" all of wz.
free = ["scale", "a", "c", "{anion}.z", "Uiso", "delta2", "spdiameter"]
# stage = [{{rmax = 6, free = ["scale", "a"]}}]   # fits before this one, in order; or as tables [[fit.stage]]
use_errors = {use_errors:<21}# weigh points with dG where the file has it; false: all points alike
# noise = "estimated"             # its spectrum from the residual of a first fit; "given": from dG or the misfit alone
#                                 # "own": given, but each data set without dG by its own misfit
# search = "staged"               # the cell first, then other minima near by; "plain": one fit from the start
#                                 # values; "thorough": many starts, all minima listed
# convention = "pdfkit"           # "pdffit2" or "diffpy-cmi" calculate exactly as those programs do
# grid = "data"                   # "nyquist", with convention "pdffit2": every π/qmax, as PDFgui does when asked to
# max_nfev = 100                  # evaluations before giving up
# variables = {{d = 0.5}}           # numbers of the fit alone, for ties to use; name them in free to vary them
# start = {{"wz.scale" = 0.5}}      # start values by name, such as scales of each of several data sets, "x.wz.scale"
# restraints = [                  # soft: each adds ((value - target)/sigma)²
#     {{expression = "wz.c/wz.a", target = 1.633, sigma = 0.01}},
#     {{phase = "zb", bond = ["{cation}", "{anion}"], target = 2.62, sigma = 0.02}},      # Å; or min =, max =
#     {{phase = "wz", angle = ["{anion}", "{cation}", "{anion}"], min = 100, max = 120, sigma = 1}},
#     {{phase = "wz", valence = {{{cation} = 2, {anion} = -2}}, sigma = 0.1, r0 = {{"{cation}-{anion}" = 2.4}}}},
#     {{phase = "dot", bonds = 0.05, angles = 5, displacement = 0.2, lengths = {{"Cd-S" = 2.53}}}},   # atoms that move
# ]

[fit.ties]                        # a parameter follows an expression of others
"zb.spdiameter" = "wz.spdiameter"
"zb.delta2" = "wz.delta2"
"zb.{cation}.Uiso" = "wz.{cation}.Uiso"
"zb.{anion}.Uiso" = "wz.{anion}.Uiso"

[fit.bounds]                      # [low, high], {{min = low}} or {{max = high}}; sane defaults hold otherwise
spdiameter = [5, 500]

# [fit.search]                    # starts in these ranges in place of the usual ones; a fit from many starts
# spdiameter = [15, 60]
# starts = 40                     # at most
# seed = 0

[output]
{output}# dir = "results"                 # where results go; without it, pdfkit-out/<name of this file>
# write = ["report", "picture", "columns", "hdf5", "structures"]   # what is written
# prefix = "run1-"                # starts the name of every file
"""


@dataclass(frozen=True)
class Example:
    """What stands in the lines of the commented recipe.

    elements: cation and anion of shipped wurtzite and zinc blende structures; out, prefix: of [output], left out where
    empty. The rest are values of the keys of their names.
    """

    title: str = "CdSe nanocrystals, wurtzite and zinc blende"
    probe: str = "X"
    qmin: float = 0.0
    qmax: float = 19.0
    qdamp: float = 0.058
    window: str = "none"
    rmin: float = 1.5
    rmax: float = 20.0
    elements: tuple[str, str] = ("Cd", "Se")
    spdiameter: float = 35.0
    use_errors: bool = True
    out: str = ""
    prefix: str = ""


def recipe_template(
    data: str | PathLike[str] | None = None, *, name: str = "RECIPE.toml", example: Example | None = None
) -> str:
    """Return a commented recipe that explains every key.

    data : the G(r) file (default "data.gr"). name : what the recipe will be called. example : what stands in it.
    """
    example = example or Example()
    cation, anion = example.elements
    lines = [f"{key} = {quoted(value)}\n" for key, value in (("dir", example.out), ("prefix", example.prefix)) if value]
    return _TEMPLATE.format(
        name=name,
        file=quoted(str(data) if data is not None else "data.gr"),
        material=cation + anion,
        cation=cation,
        anion=anion,
        ucation=0.02,
        uanion=0.04,
        output="".join(lines),
        **{key: quoted(getattr(example, key)) for key in ("title", "probe", "window")},
        **{key: float(getattr(example, key)) for key in ("qmin", "qmax", "qdamp", "rmin", "rmax", "spdiameter")},
        use_errors=str(example.use_errors).lower(),
    )


def quoted(text: str) -> str:
    """Return a TOML string: JSON's quoting, which TOML shares, with the one character it does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
