"""What the headers of 1-D data files say: probe, Q limits, resolution, window, temperature, units.

The rules are PDFgui's (the de-facto standard), with its known traps closed: an explicit `stype` or `mode`
beats the words of a title, `optqmax` is not `qmax`, and what a header does not say stays unknown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pdfkit._checks import Array
from pdfkit.data.instrument import HC, Instrument
from pdfkit.errors import PdfkitError, ReadError
from pdfkit.io._atomic import AnyPath
from pdfkit.io._functions import Sample
from pdfkit.io._text import NUMBER, Table
from pdfkit.transforms.sine import WINDOWS

_PAIR = re.compile(r"([A-Za-z_][\w.\-]*)\s*=\s*([^=]*)")
_INLINE = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\s*=\s*([^\s,;=]+)")
_NUMBERS = {"qmin": "qmin", "qmax": "qmax", "qdamp": "qdamp|qsig", "qbroad": "qbroad|qalp"}
# A "resolution" in a header may be that of anything.
SPELLED = {"resolution": "qresolution"}
_NUMBERS |= {**SPELLED, "qtail": "qtail"}
_UNSET = ("", "none", "null", "nan", "?", "-", "unknown")
_PROBES = {
    **dict.fromkeys(("x", "xray", "xrays", "x-ray", "x-rays", "rapdf"), "X"),
    **dict.fromkeys(("n", "neutron", "neutrons"), "N"),
    **dict.fromkeys(("e", "electron", "electrons"), "E"),
}
# A path may hold any word: /beamtime/neutron/xray/…
_PATH_KEY = re.compile(r"\w*(?:file|dir|path|folder)\w*\s*[=:]", re.IGNORECASE)

# Units of lengths, or of Q and its multiples, that no reader converts.
_OTHER_UNITS = re.compile(
    r"(?<![A-Za-z])(?:pm|[fpcmµμu]?m|bohrs?|a\.u\.?|a_?0|[Pp]ico\w*|micro\w*)(?![A-Za-z])|(?<=[Qqk])\s*/\s*[(]?[24]\s*\*?\s*(?:pi|π)"
)
_METRES = 1e-6  # a wavelength below this is in m (pyFAI)
WAVELENGTHS = (0.005, 20.0)  # Å: electrons of 1 MeV have 0.0087, neutrons seldom more than 10
_KEV = (3.0, 500.0)  # X-rays of scattering experiments; numbers a thousand times larger are eV

# r or Q with its unit, in a line that is not one of labels: xaxis label "r (nm)".
_AXIS = re.compile(r"(?<![\w(])(?:[rRqQ]|[Dd]istance|[Rr]adius)\s*[(\[/]\s*((?:[np]m|bohr|a\.u\.|Å)(?![A-Za-z]))")

Lines = Sequence[tuple[int, str]]


def body(text: str) -> str:
    """Return a header line without its comment signs."""
    text = text.strip()
    return text.lstrip("#!% \t").rstrip("# \t") if text.startswith(("#", "!", "%")) else text


def collect(lines: Lines) -> dict[str, str]:
    """Return the header as key → value; a line that is no `key = value`, or repeats a key, is under "line N".

    Pairs inside such a line are entered too, where their key is still free. The start mark itself is left
    out.
    """
    out: dict[str, str] = {}
    for number, text in lines:
        content = body(text)
        if not content or content.lower() == "start data":
            continue
        pair = _PAIR.fullmatch(content)
        if pair and pair[1] not in out:
            out[pair[1]] = pair[2].strip()
        else:
            out[f"line {number}"] = text.strip()
    for _, text in lines:
        if not _PATH_KEY.match(body(text)):
            for key, value in _INLINE.findall(text):
                out.setdefault(key, value)
    return out


class Facts:
    """The header lines of one file, to be asked for numbers and words; errors name file and line."""

    def __init__(self, table: Table, lines: Lines | None = None) -> None:
        self.path = table.path
        self.lines = [(n, body(text)) for n, text in (table.header if lines is None else lines)]

    @classmethod
    def of_lines(cls, path: AnyPath, lines: Lines) -> Facts:
        """Return those of a header alone."""
        return cls(Table(str(path), tuple(lines), (), np.empty((0, 0)), np.empty(0, dtype=np.int64), marked=False))

    def number(self, names: str, *, flags: re.RegexFlag = re.IGNORECASE, suffix: str = "") -> float | None:
        """Return the first value given for one of `names` ("a|b"): lines that begin with it first, then any.

        None when absent or left open; ReadError when a line `name = …` holds something else.
        """
        value = rf"(?:{names})\s*[=:]\s*({NUMBER}){suffix}(?![\w.]|,[0-9])"
        first, anywhere = re.compile(value, flags), re.compile(rf"(?<![\w.]){value}", flags)
        broken = re.compile(rf"(?:{names})\s*=\s*(.*)", flags)
        for n, text in self.lines:
            if match := first.match(text):
                return self._finite(n, match[1])
            if (match := broken.match(text)) and match[1].split(" ")[0].strip(",;").lower() not in _UNSET:
                raise ReadError(self.path, f"{text[:60]!r} does not give a number: correct it", n)
        for n, text in self.lines:
            if match := anywhere.search(text):
                return self._finite(n, match[1])
        return None

    def _finite(self, line: int, text: str) -> float:
        value = float(text.lower().replace("d", "e"))
        if not math.isfinite(value):
            raise ReadError(self.path, f"{text} is too large for a number: correct it", line)
        return value

    def word(self, names: str) -> str | None:
        """Return the first word, lower case, given for one of `names` at a line's start, else anywhere."""
        value = re.compile(rf"(?<![\w.])(?:{names})\s*[=:]\s*[\"']?([\w\-]+)", re.IGNORECASE)
        found = [match for _, text in self.lines if (match := value.match(text))]
        found += [match for _, text in self.lines if (match := value.search(text))]
        return found[0][1].lower() if found else None

    def text(self, names: str) -> str | None:
        """Return what follows `name =` on the line that begins with one of `names`; None when not there."""
        value = re.compile(rf"(?:{names})\s*=\s*(.*)", re.IGNORECASE)
        return next((match[1].strip() or None for _, text in self.lines if (match := value.match(text))), None)

    def probe(self) -> str | None:
        """Return "X", "N" or "E": from stype or mode; else from words, if they agree; else None."""
        for key in ("stype", "mode|radiation|probe"):
            said = self.word(key)
            if said is not None:
                return _PROBES.get(said)
        words = " ".join(text for _, text in self.lines if not _PATH_KEY.match(text))
        xray = re.search(r"x-?ray|PDFgetX|Get_XPDF", words, re.IGNORECASE) is not None
        neutron = re.search(r"neutron|PDFgetN", words, re.IGNORECASE) is not None
        return None if xray == neutron else "X" if xray else "N"

    def temperature(self) -> float | None:
        """Return the temperature in K, or None when absent or in another unit."""
        unit = r"\s*K?(?=$|[\s,;)\]])(?!\s*(?:deg|C\b|°))"
        try:
            value = self.number("temperature|temp", suffix=unit)
        except ReadError:
            return None  # A temperature steers nothing: what cannot be read stays in the header.
        if value is None:
            value = self.number("T", flags=re.NOFLAG, suffix=unit) if self._has_bare_T(unit) else None
        return value if value is not None and value >= 0 else None

    def _has_bare_T(self, unit: str) -> bool:
        pattern = re.compile(rf"(?<![\w.])T\s*[=:]\s*{NUMBER}{unit}(?![\w.])")
        return any(pattern.search(text) for _, text in self.lines)

    def window(self) -> str | None:
        """Return the window that `terminationfunctions` (PDFgetX3) or `window` names; None: not ours."""
        said = self.text("termination_?functions?|window")
        if said is None:
            return None
        names = [name for name in re.split(r"[\s,;\"'\[\]]+", said.lower()) if name not in ("", "step", "none")]
        if not names:
            return "none"
        return names[0] if len(names) == 1 and names[0] in WINDOWS else None

    def unit(self, label: str) -> str | None:
        """Return "nm", "A" or None (not said) for the first column, from its label or a `unit = …` line.

        Any other unit in the label comes back as it stands there: "pm", "bohr", ….
        """
        said = self.word("[rq]_?units?|units?") or ""
        if not label:
            label = next((match[1] for _, text in self.lines if (match := _AXIS.search(text))), "")
        if other := _OTHER_UNITS.search(label):
            return other[0]
        if "nm" in label or re.match(r"nm|nanomet", said):
            return "nm"
        angstrom = re.search(r"\\AA|[Åå\u212b]|[Aa]ng|(?<![A-Za-z])A(?![A-Za-z])", label)
        return "A" if angstrom or re.match(r"a\b|å|ang", said) else None


def instrument(facts: Facts, given: dict[str, Any]) -> Instrument:
    """Return the instrument of a file; `given` (keyword arguments that are not None) overrides the header.

    `qmax = 0` is PDFgui's way to say that no termination is applied: it becomes inf.
    """
    values: dict[str, Any] = {}
    for name, keys in _NUMBERS.items():
        if name not in given and (value := facts.number(keys)) is not None:
            values[name] = math.inf if name == "qmax" and value == 0 else value
    values |= {"probe": facts.probe(), "window": facts.window()} | given
    if "wavelength" not in given:
        values["wavelength"] = _wavelength_of(facts, values["probe"])
    try:
        return Instrument(**values)
    except PdfkitError as error:
        raise ReadError(facts.path, f"{error} (correct the header, or give the value as a keyword)") from None


def contradictions(facts: Facts, given: Mapping[str, Any], *, own: bool = False) -> list[str]:
    """Return a sentence for each keyword that the header contradicts.

    A resolution of 0 is no statement (except in our own files), and qmin = 0 only says what happens to qmin anyway.
    """
    out = []
    for name, keys in _NUMBERS.items():
        said = _said_number(facts, keys) if name in given else None
        value = float(given.get(name, 0.0))
        if said is None or (not own and ((said == 0 and name != "qmax") or (value == 0 and name == "qmin"))):
            continue
        meant = math.inf if name == "qmax" and said == 0 else said
        if not math.isclose(meant, value, rel_tol=1e-6):
            out.append(f"the file's header says {name} = {said:g}, {value:g} is used because it was given")
    told = _wavelength_of(facts, given.get("probe") or facts.probe()) if "wavelength" in given else None
    if told is not None and not math.isclose(told, given["wavelength"], rel_tol=2e-3):
        out.append(
            f"the file's header says wavelength = {told:.6g}, {given['wavelength']:g} is used because it was given"
        )
    for name, word in (("probe", facts.probe()), ("window", facts.window())):
        if name in given and word is not None and word != given[name]:
            out.append(f"the file's header says {name} {word}, {given[name]} is used because it was given")
    return out


def _said_number(facts: Facts, keys: str) -> float | None:
    try:
        return facts.number(keys)
    except ReadError:
        return None  # what was given takes the place of a value that cannot be read


def check_sample(sample: Sample) -> None:
    """Refuse a composition or density that was given and cannot be; the file is not to blame."""
    if sample.composition is not None:
        sample.fractions()
    if sample.rho0 is not None and not 1e-4 < sample.density < 1.0:
        message = f"rho0 = {sample.rho0:g} atoms/Å³ is not a number density of condensed matter (0.005 to 0.3)"
        raise PdfkitError(f"{message}: was g/cm³ meant? Give atoms/Å³")


def sample(facts: Facts, header: Mapping[str, str], given: Sample) -> tuple[Sample, list[str]]:
    """Return composition and density, given or else of the header, and a sentence for each contradiction."""
    text = facts.text("composition|formula") or header.get("composition") or header.get("formula")
    density = _said_number(facts, "rho_?0|number_?density|atomic_?(?:number_?)?density")
    out = []
    if text and given.composition is not None and _differ(text, given):
        out.append(f"the file's header says composition {text[:40]}, {given.composition} is used because it was given")
    if density and given.rho0 is not None and not math.isclose(density, given.rho0, rel_tol=1e-3):
        out.append(f"the file's header says rho0 = {density:g}, {given.rho0:g} is used because it was given")
    return Sample(given.rho0 if given.rho0 is not None else density or None, given.composition or text), out


def _differ(text: str, given: Sample) -> bool:
    try:
        one, two = Sample(None, text).fractions(), given.fractions()
    except PdfkitError:
        return "".join(text.split()) != "".join(str(given.composition).split())
    return set(one) != set(two) or any(abs(one[name] - two[name]) > 1e-3 for name in one)


def wavelength(
    facts: Facts, names: str = r"wave_?length|lambda1?", *, xrays: bool = True
) -> tuple[float | None, list[str]]:
    """Return the wavelength in Å that the header gives, by itself or as an energy, and what is to be remarked."""
    energy = _quantity(facts, r"(?:beam[ _]|photon[ _]|x-?ray[ _])?energy", {"kev": 1.0, "ev": 1e-3}) if xrays else None
    from_energy = HC / energy if energy else None
    lengths = {"å": 1.0, "a": 1.0, "angstrom": 1.0, "angstroms": 1.0, "nm": 10.0, "pm": 0.01, "m": 1e10}
    value = _quantity(facts, names, lengths)
    value = value or facts.number(names)
    if value is not None and 0 < value < _METRES:
        value *= 1e10
    if value is None or value <= 0:
        return from_energy, []
    if not WAVELENGTHS[0] <= value <= WAVELENGTHS[1]:
        return from_energy, [f"the header's wavelength {value:.6g} is impossible in Å and is ignored: give wavelength="]
    if from_energy is not None and abs(from_energy - value) > 0.01 * value:
        return value, [
            f"the header has wavelength {value:.6g} Å, its energy gives {from_energy:.6g} Å: the first is used"
        ]
    return value, []


def _quantity(facts: Facts, names: str, units: Mapping[str, float]) -> float | None:
    """Return a number that has one of `units` behind it or behind its name, converted; None where there is none."""
    unit = "|".join(sorted(units, key=len, reverse=True))
    behind = re.compile(rf"(?<![\w.])(?:{names})\s*[=:]?\s*({NUMBER})\s*[(\[]?({unit})(?![a-z])", re.IGNORECASE)
    named = re.compile(
        rf"(?<![\w.])(?:{names})\s*[_(\[\s]\s*({unit})\s*[)\]]?\s*[=:]?\s*({NUMBER})(?![\w.])", re.IGNORECASE
    )
    for _, text in facts.lines:
        text = text.replace("\u212b", "Å")
        if match := behind.search(text):
            return float(match[1]) * units[match[2].lower()]
        if match := named.search(text):
            return float(match[2]) * units[match[1].lower()]
    return None


def _wavelength_of(facts: Facts, probe: str | None) -> float | None:
    """Return the wavelength (Å) that the header of a curve gives; it steers little there: None for what is no number.

    lambda may be anything in such a file; an energy is that of X-rays.
    """
    try:
        found = wavelength(facts, "wave_?length", xrays=probe in ("X", None))[0]
    except ReadError:
        return None
    if found is None and probe == "X":
        energy = _said_number(facts, "(?:beam_?|photon_?|x_?ray_?)?energy")
        keV = 0.0 if energy is None else energy / 1000 if energy > _KEV[1] else energy
        return HC / keV if _KEV[0] <= keV <= _KEV[1] else None
    return found


@contextmanager
def as_read_errors(path: AnyPath) -> Iterator[None]:
    """Turn errors of values that the file gave into a ReadError; keep overflow silent until it is checked."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except ReadError:
        raise
    except PdfkitError as error:
        raise ReadError(path, str(error)) from None


def usable_error(data: Array, column: int | None) -> Array | None:
    """Return a column of standard deviations, or None unless all of them are finite and positive."""
    if column is None or column >= data.shape[1]:
        return None
    error = data[:, column]
    return error if np.isfinite(error).all() and (error > 0).all() else None


def given(**keywords: Any) -> dict[str, Any]:
    """Return the keywords that are not None."""
    return {name: value for name, value in keywords.items() if value is not None}


def title(table: Table) -> str:
    """Return the title on a `#S 1 title` or `#T G(R) title` line, else the stem of the file name."""
    for _, text in table.header:
        match = re.match(r"#\s*(?:S\s+\d+|T\s+\w+\([RrQq]\))\s+(?![\s\-=]|.*=)(.+)", text)
        if match:
            return match[1].strip()
    return Path(table.path).stem


def normal(labels: Iterable[str]) -> list[str]:
    """Return labels in lower case without units and signs: `d_Gr` and `dG(r)` → dgr, `r($\\AA$)` → r."""
    out = []
    for label in labels:
        inner = re.sub(r"\((?![rRqQ]\))[^)]*\)|\[[^\]]*\]", "", label)
        out.append(re.sub(r"[^a-z0-9]", "", inner.lower()))
    return out
