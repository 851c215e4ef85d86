"""What a file says that its columns are, and what the values themselves say of it.

The same letter stands for several functions: G(r) is 4πr[ρ(r) − ρ₀] in Å⁻² for PDFgui and ⟨b⟩²[g(r) − 1] in barn for
RMCProfile; F(Q) is Q[S(Q) − 1], or ⟨b⟩²[S(Q) − 1]. A unit settles it. What is said is a `Said`: the kind of
`pdfkit.io._functions`, and in which words, for messages and remarks.

Names of files and headers are those of Gudrun (`.mint01`, `.mdcs01`, `.mgor01`, `.mdor01`, first line `# name.mdor01`),
STOG and pystog (`_rmc.fq`, `_rmc.gr`, `_rmc.dr`; `# r g(r) G(r) GK(r)`), and of
Mantid's SaveRMCProfile (`rmc F(Q) #  title`).

G(r) starts at 0, falls as −4πρ₀r and tends to 0. Keen's G(r) and g(r) − 1 start at a constant below 0 and tend to 0;
T(r) and R(r) start at 0, stay positive, and grow like r and r²; g(r) tends to 1. Measured curves ripple at low r,
begin anywhere, or have no baseline (clusters): a function is named only where nothing else fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pdfkit._checks import Array
from pdfkit.io._text import Table

# --- What a file says that its columns are ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a file says of its values.

    kind : a name of `OF_R` or `OF_Q`, "I", or "?" for a function that is not known here; "" where nothing is said.
    how : the statement, as the beginning of a sentence. sure : no program means another function by it.
    unit : of the values, as `unit_of` has it ("" not said).
    """

    kind: str = ""
    how: str = ""
    sure: bool = False
    unit: str = ""


# Of a label without its unit, signs and blanks; upper and lower case count. True: sure.
NAMES_OF_R: Mapping[str, tuple[str, bool]] = {
    **dict.fromkeys(("G(r)", "G", "Gr", "Gobs", "Gexp", "Gdata", "Gmeas", "Gcalc"), ("G", False)),
    **dict.fromkeys(("GPDF(r)", "GPDFFIT(r)", "GPDFfit(r)", "Gpdffit(r)", "GPDFFIT", "GPDF"), ("G", True)),
    **dict.fromkeys(("GK(r)", "GK", "Gk(r)", "Gk", "GKeen(r)", "Gkeen(r)", "GKeen", "Gkeen"), ("GK", True)),
    **dict.fromkeys(("D(r)", "D", "d(r)", "Dobs", "Dr"), ("D", True)),
    **dict.fromkeys(("T(r)", "T", "t(r)", "Tobs", "Tr"), ("T", True)),
    **dict.fromkeys(("R(r)", "RDF(r)", "RDF", "rdf", "rdf(r)", "R", "J(r)"), ("R", True)),
    **dict.fromkeys(("R(r)/r", "RDF(r)/r", "RDF/r"), ("R/r", True)),
    **dict.fromkeys(("g(r)",), ("g", True)),
    **dict.fromkeys(("g(r)-1", "h(r)", "h", "g-1", "G(r)-1"), ("g-1", True)),
}

_OF_Q: Mapping[str, tuple[str, bool]] = {
    **dict.fromkeys(("S(Q)", "S", "SQ", "s(q)", "s", "sq", "Sobs", "Sau", "S(q)", "SofQ"), ("S", True)),
    **dict.fromkeys(("S(Q)-1", "S-1", "SQ-1", "S(q)-1", "s(q)-1"), ("S-1", True)),
    **dict.fromkeys(("F(Q)", "F", "FQ", "f(q)", "fq", "Fobs", "F(q)", "FofQ"), ("F", False)),
    **dict.fromkeys(("Q[S(Q)-1]", "Q(S(Q)-1)", "Q(S-1)", "Q[S-1]", "QS-1", "QS(Q)-1", "q(s(q)-1)"), ("F", True)),
    **dict.fromkeys(("FK(Q)", "FK", "Fk(Q)", "FKeen(Q)", "Fkeen(Q)", "i(Q)", "i", "i(q)"), ("FK", True)),
    **dict.fromkeys(("Qi(Q)", "QI(Q)", "Qi", "QFK(Q)", "QFK", "Q(FK)", "qi(q)"), ("QFK", True)),
    **dict.fromkeys(("DCS(Q)", "DCS", "dcs"), ("DCS", True)),
}

# Words for a column that say nothing of the function.
_PLAIN = re.compile(
    r"(?i)y|values?|data|pdf|signal|obs\w*|exp\w*|gofr|g_?of_?r|gr|g|calc\w*|y_?(obs|calc)?|f\(x\)|column\s?\d+|sig.*|fit|rmc|"
    r"corr\w*|iobs|gsum|total|tot"
)

# Of D(r)_expt, G(r)_data: which side of a fit it is says nothing of the function.
_SIDE = re.compile(r"(?<=\))(?:expt?|obs|calc|rmc|fit|data|model|meas)$", re.IGNORECASE)

_FUNCTION = re.compile(r"[\wρπ\[]+.*\((r|R|Q|q)\).*")

# The end of a file name: (pattern, kind, sure).
_NAMES_R = (
    (r"\.m?dor\d\d$|\.dofr$|_rmc\.dr$", "D"),
    (r"\.m?gor\d\d$|_rmc\.gr$", "GK"),
    (r"\.m?tor\d\d$|\.tofr$", "T"),
)

_NAMES_Q = (
    (r"\.m?int\d\d$|_rmc\.fq$|\.fq_keen$", "FK"),
    (r"\.m?dcs\d\d$", "DCS"),
    (r"\.soq$", "S"),
)

_TOKENS_R = re.compile(r"(?<![\w(/])(G_?K(?:een)?|GPDF(?:FIT)?|G|g|D|T|RDF|R)\(r\)(\s*[-−]\s*1\b|/r\b)?")

_TOKENS_Q = re.compile(r"(?<![\w(/\[])(F_?K|F|i|S|DCS)\(Q\)(\s*[-−]\s*1\b)?")

# A header has a few dozen lines of a line's length; what is longer is not read for hints.
_LONGEST, _MOST = 200, 500

_MANTID = re.compile(r"rmc\s+(\S+)\s*#")

_BARN = re.compile(r"\bbarns?\b|\bb(?=\s*/\s*sr|\s*sr|\s*/\s*atom)|barn", re.IGNORECASE)

_LENGTH = r"(?P<length>nm|Å|Å|\u212b|\\?AA|ang(?:strom)?s?|A(?![a-z]))"

_POWER = re.compile(
    rf"(?P<over>/\s*)?{_LENGTH}\s*\)?\s*(?:\*\*|\^)?\s*\{{?\s*\(?(?P<power>[-−+]?\d|⁻[¹²³])?", re.IGNORECASE
)


def unit_of(text: str) -> str:
    """Return the unit in a text as "barn", "barn A-2", "A-2", "nm-2", …; "" where it names none that is known."""
    plain = text.replace("$", "").replace("_", " ")
    barn = "barn" if _BARN.search(plain) else ""
    rest = re.sub(r"(?i)barns?|atoms?", " ", plain)
    match = _POWER.search(rest)
    length = ""
    if match:
        name = "nm" if match["length"].lower() == "nm" else "A"
        digits = {"⁻¹": "-1", "⁻²": "-2", "⁻³": "-3"}.get(
            match["power"] or "", (match["power"] or "1").replace("−", "-")
        )
        power = int(digits) * (-1 if match["over"] or re.search(r"1\s*/\s*\(?$", rest[: match.start()]) else 1)
        length = f"{name}{power}" if power < 0 else ""
        if re.match(r"(?i)\s*inv", plain) and not length:
            length = f"{name}-1"
    return " ".join(part for part in (barn, length) if part)


def parts_of(label: str) -> tuple[str, str]:
    """Return a column label as (name without signs and blanks, unit text): "G_K(r) [barn]" → ("GK(r)", "barn")."""
    text = label[:_LONGEST].strip().strip(",;:")
    unit = ""
    while match := re.search(r"[_\s]*(?:\(([^()]*(?:\([^()]*\))?[^()]*)\)|\[([^\[\]]*)\])$", text):
        inner = match[1] if match[1] is not None else match[2]
        if not match.start() or re.fullmatch(r"\s*[rRqQ]\s*|.*[sSgG]\(?[QqRr]?\)?.*1\s*", inner):
            break
        unit, text = f"{inner} {unit}".strip(), text[: match.start()]
    if match := re.fullmatch(r"(.+?\)|[A-Za-z]+)\s*[/,]\s*((?:1/)?(?:barn|b/|Å|A|\\AA|\$|nm|ang).*)", text):
        text, unit = match[1], unit or match[2]
    name = re.sub(r"\\?(?:math|rm|it|text)rm|[\s_^{}$\\*·.]|\\cdot", "", text).replace("−", "-").replace("–", "-")
    return re.sub(r"\((R)\)", "(r)", name) if "R(R)" not in name else name.replace("(R)", "(r)"), unit


def of_label(label: str, *, of: str) -> Said:
    """Return what a column label says of a function of `of` ("r" or "Q"), its unit counted in."""
    name, unit_text = parts_of(label)
    unit = unit_of(unit_text)
    names = NAMES_OF_R if of == "r" else _OF_Q
    kind, sure = names.get(name) or names.get(_SIDE.sub("", name), ("", False))
    if not kind and of == "Q" and re.match(r"I(?![a-z])|[Ii]nt(?!e?r?f)|[Cc]ount", name):
        kind, sure = "I", True
    if not kind and not _PLAIN.fullmatch(name) and _FUNCTION.fullmatch(name):
        kind = "?"
    # Blanks inside brackets were made underscores when the line was split.
    plain = re.sub(r"_(?=[^(\[]*[)\]])", " ", label.strip())[:40]
    if re.search(r"(?<![A-Za-z])(?:fm|mb|mbarns?|millibarns?)(?![A-Za-z])", unit_text.replace("_", " ")):
        return Said("?", f"the column is labelled {plain}; write it in barn (100 fm², 1000 mbarn)")
    return with_unit(Said(kind, f"the column is labelled {plain}", sure, unit))


def is_known(name: str, *, of: str) -> bool:
    """Return whether a name (of `parts_of`) is one of a function of `of`."""
    return name in (NAMES_OF_R if of == "r" else _OF_Q)


def with_unit(said: Said) -> Said:
    """Return the statement with what its unit adds: G(r) in barn is Keen's, D(r) in Å⁻² is G(r)."""
    barn, inverse = "barn" in said.unit, said.unit.rpartition(" ")[2]
    power = inverse[-2:] if inverse[-2:] in ("-1", "-2") else ""
    settled: dict[tuple[str, bool, str], str] = {
        ("G", True, ""): "GK",
        ("G", True, "-2"): "D",
        ("G", False, "-2"): "G",
        ("D", False, "-2"): "G",
        ("T", False, "-2"): "R/r",
        ("T", False, "-1"): "R",
        ("g-1", True, ""): "GK",
        ("R", True, "-1"): "?",
        ("F", True, ""): "FK",
        ("F", True, "-1"): "QFK",
        ("F", False, "-1"): "F",
        ("S-1", True, ""): "FK",
        ("QFK", False, "-1"): "F",
    }
    kind = settled.get((said.kind, barn, power))
    return said if kind is None else replace(said, kind=kind, sure=True)


def of_names(path: str, header: Sequence[tuple[int, str]], *, of: str) -> Said:
    """Return what the name of a file says, or the name that Gudrun puts on its first line."""
    inside = [text.lstrip("# \t").split()[0] for number, text in header[:1] if number == 1 and text.strip("# \t")]
    for name, where in ((Path(path).name, "the file name"), *((text, "the name on line 1") for text in inside)):
        for pattern, kind in _NAMES_R if of == "r" else _NAMES_Q:
            if match := re.search(pattern, name.lower()):
                return Said(kind, f"{where} ends in {name[match.start() :][:20]}", kind != "S")
    return Said()


def of_header(lines: Iterable[tuple[int, str]], *, of: str) -> Said:
    """Return what the lines above the data say: Mantid's title, one named function, or a unit of the values."""
    texts = [text[:_LONGEST] for _, text in lines][:_MOST]
    for text in texts[:3]:
        if match := _MANTID.match(text.lstrip("# \t")):
            said = of_label(match[1], of=of)
            keen = {"G": "GK", "F": "FK"}.get(said.kind, said.kind)
            return Said(keen, f"the title says rmc {match[1][:20]}", True) if keen and keen != "?" else Said()
    unit = next((found for text in texts if (found := _unit_line(text))), "")
    kinds: dict[str, Said] = {}
    for text in texts:
        if re.match(r"\s*#?\s*L\s", text):
            continue
        tokens = list((_TOKENS_R if of == "r" else _TOKENS_Q).finditer(text))
        # "D(r) = 4πrρ₀G_K(r)" defines the first by the others.
        defined = [token for token in tokens if re.match(r"\s*=", text[token.end() :])]
        for token in defined[:1] or tokens:
            said = of_label(re.sub(r"\s", "", token[0]).replace("−", "-"), of=of)
            if said.kind not in ("", "?", "I"):
                kinds[said.kind] = replace(said, how=f"the header says {token[0]}", unit=unit)
    if len(kinds) == 1:
        return with_unit(next(iter(kinds.values())))
    return Said(unit=unit, how=f"the header says {shown(unit)}") if unit else Said()


def _unit_line(text: str) -> str:
    """Return the unit of the values that a header line states; a cross-section of so many barns is none."""
    body = text.lstrip("#!% \t")
    if re.search(r"(?i)(?:total|coherent|absorption|scattering) cross", body):
        return ""
    whole = r"(?i)\bbarns?\s*(?:/|per\b)\s*(?:sr|ster|atom|[ÅA]\b)|\bbarns?[\s*·]*[ÅA]\s*(?:\^|⁻|-\d)"
    if (compound := re.search(whole, body)) and not re.search(r"[\d.]\s*$", body[: compound.start()]):
        return unit_of(body[compound.start() : compound.end() + 4])
    marked = re.search(r"(?i)unit|\by[-_ ]?(?:axis|label)|\bin barn|[\[(][^\])]*barn[^\])]*[\])]", body)
    alone = re.fullmatch(r"(?i)[\s\w/^\-*.²⁻¹Å\\${}]{1,40}", body) and not re.search(r"[=:]", body)
    barn = re.search(r"(?i)(?<![\d.])(?<![\d.]\s)\bbarns?\b", body)
    if barn and (marked or alone):
        return unit_of(body[barn.start() :])
    if marked and re.search(r"(?i)unit", body):
        found = unit_of(re.sub(r"(?i)^.*?units?\w*", "", body))
        return found if found.endswith("-2") else ""
    return ""


def of_unit(unit: str, *, of: str, falls: bool) -> Said:
    """Return what a unit alone says; `falls`: the low-r side is negative (D(r), not T(r))."""
    how = f"the values are in {shown(unit)}"
    if of == "r":
        kind = {"barn": "GK", "barn A-2": "D" if falls else "T", "A-2": "G"}.get(unit, "")
    else:
        kind = {"barn": "FK", "barn A-1": "QFK", "A-1": "F"}.get(unit, "")
    return Said(kind, how, bool(kind), unit) if kind else Said()


def shown(unit: str) -> str:
    """Return a unit as it is printed: "barn A-2" → barn Å⁻²."""
    return unit.replace("A-2", "Å⁻²").replace("A-1", "Å⁻¹").replace("nm-2", "nm⁻²").replace("nm-1", "nm⁻¹")


def counted(table: Table) -> bool:
    """Return whether the file has RMCProfile's form: a count on line 1, a title, two columns without labels."""
    first = table.header[0] if table.header else (0, "")
    bare = first[1].lstrip("# \t")
    return first[0] == 1 and bare.isascii() and bare.isdigit() and not table.marked and not table.labels


# --- What the values themselves say of a function of r ---------------------------------------------------------------

_TREND = 0.2  # that of a particle is −0.3 and more, unless it is much larger than the curve is long

_REACH = 8.0  # Å: shorter curves do not show what they tend to


def plateau(r: Array, y: Array) -> float | None:
    """Return the constant (below 0) at which a curve starts and stays up to the first peak; None for any other start.

    Two means, at the beginning and before the first peak, are alike; −4πρ₀r would differ by the ratio of their r. They
    are taken with Hann weights, in which the ripples of a cut in Q vanish, and must stand out of the noise.
    """
    end = _first_peak(r, y)
    width = max(0.4, (end - r[0]) / 2.2)
    low, high = float(r[0]) + width / 2, end - width / 2
    if high < 1.8 * low or np.count_nonzero(r < end) < 16:
        return None
    (first, error), (second, _) = _hann_mean(r, y, low, width), _hann_mean(r, y, high, width)
    level = 0.5 * (first + second)
    inside = y[r < end]
    ripple = float(inside.std())
    # Short ranges do not average ripples out, and late ones have little lever: both must be quiet.
    quiet = ripple < (0.2 if r[0] > 0.25 else 0.35) * -level or (r[0] <= 0.25 and width > 0.7)
    alike = first < 0 and 0.5 < second / first < 1 + 0.3 * (high / low - 1)
    clear = -first > 6 * error and -level > 0.01 * float(np.abs(y).max())
    return level if alike and clear and quiet else None


def _hann_mean(r: Array, y: Array, centre: float, width: float) -> tuple[float, float]:
    """Return the mean of y about `centre` and its error, by the scatter of neighbours."""
    weights = np.where(np.abs(r - centre) < width / 2, np.cos(math.pi * (r - centre) / width) ** 2, 0.0)
    total = float(weights.sum())
    if total <= 0:
        return 0.0, math.inf
    scatter = 1.48 * float(np.median(np.abs(np.diff(y[weights > 0])), axis=0)) / math.sqrt(2) if total > 3 else math.inf
    return float(weights @ y) / total, scatter * float(np.sqrt((weights**2).sum())) / total


def _first_peak(r: Array, y: Array) -> float:
    """Return the r (Å) up to which the curve stays well below its highest peak and has not risen above 0 for good."""
    high = np.flatnonzero(y > 0.25 * float(y.max()))
    return float(r[high[0]]) * 0.8 if high.size and y.max() > 0 else float(r[-1])


def slope(r: Array, y: Array) -> float | None:
    """Return s of y = s·r below the first peak, in units of y per Å; None where that range is short or not a line."""
    end = _first_peak(r, y)
    # Before the first peak that is positive there may be a negative one, as of Ti–O or O–H with neutrons.
    inside = (r < (0.6 * end if r[0] < 0.3 * end else end)) & (r > 0)
    if np.count_nonzero(inside) < 8 or r[0] > 0.6 * end:
        return None
    x, z = r[inside], y[inside]
    s = float(x @ z / (x @ x))
    spread = float(np.std(z - s * x))
    return s if abs(s) * end > 2.0 * spread else None


def growth(r: Array, y: Array) -> tuple[int, float] | None:
    """Return (1, c) of a positive curve that follows c·r, (2, c) for c·r², (0, c) for c; None for any other.

    The number of neighbours up to r, ∫R dr, of T(r) = R/r, R(r) and g(r) ∝ R/r² grows like r³ and much more evenly
    than the functions themselves: its ratio to r³ may change as r to the power 0.2 at most over the second half.
    """
    if r[-1] < _REACH or r.size < 60:
        return None
    if -float(y[y < 0].sum()) > 0.05 * float(y[y > 0].sum()):
        return None
    part = r > 0.5 * r[-1]
    logs = np.log(r[part])
    best: tuple[float, int, float] | None = None
    for power in (0, 1, 2):
        ratio = 3 * _integral(r, r ** (2 - power) * y)[part] / r[part] ** 3
        if ratio.min() <= 0:
            return None
        trend = abs(float(np.polyfit(logs, np.log(ratio), 1)[0]))
        if best is None or trend < best[0]:
            best = (trend, power, float(ratio.mean()))
    return (best[1], best[2]) if best is not None and best[0] < _TREND else None


def _integral(x: Array, y: Array) -> Array:
    """Return ∫y dx up to every x, by trapezoids."""
    return np.concatenate([[0.0], np.cumsum(0.5 * (y[1:] + y[:-1]) * np.diff(x))])


def tail_mean(x: Array, y: Array) -> float | None:
    """Return the mean over the last third; None for short curves."""
    part = y[2 * y.size // 3 :]
    return float(part.mean()) if part.size >= 15 else None


def goes_round_one(r: Array, y: Array) -> bool:
    """Return whether the values tend to 1, as g(r) does; G(r) tends to 0."""
    tail = y[3 * y.size // 4 :]
    return bool(r[-1] > 5 and tail.size >= 5 and abs(tail.mean() - 1) < 0.2 and np.abs(tail - 1).max() < 0.5)


def agrees(r: Array, G: Array, rho0: float) -> str:
    """Return "" when a converted G(r) has the low-r side and the tail of a G(r) of this density, else what it has.

    Only errors of a factor are seen: 0.4 to 2.5 in the low-r slope, a third of 4πrρ₀ in the tail.
    """
    expected = -4 * math.pi * rho0
    found = slope(r, G)
    if found is not None and r[0] < 1.0 and not 0.4 < found / expected < 2.5:
        return f"below the first peak it is {found:.3g}·r, where −4πρ₀r is {expected:.3g}·r"
    part = 2 * r.size // 3
    mean = tail_mean(r, G)
    reach = 4 * math.pi * rho0 * float(r[part:].mean())
    if mean is not None and r[-1] > _REACH and abs(mean) > 0.33 * reach:
        return f"at large r it oscillates about {mean:.3g}, not 0"
    return ""
