"""Settings of reductions as PDFgetX3 keeps them: `[DEFAULT]` and `key = value`, in a .cfg or at the head of a .gr."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdfkit.errors import ReadError, nearest
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text

_NUMBERS = (
    "bgscale",
    "rpoly",
    "qmaxinst",
    "qmin",
    "qmax",
    "rmin",
    "rmax",
    "rstep",
    "wavelength",
    "twothetazero",
    "rho0",
)
_WORDS = ("composition", "method", "errors", "extrapolate", "window")
_FORMATS = {"qa": "A-1", "qnm": "nm-1", "twotheta": "2theta"}
_MODES = {"xray": "X", "x-ray": "X", "sas": "X", "neutron": "N", "electron": "E"}
_OTHER_NAMES = {
    "bgscales": "bgscale",
    "backgroundfiles": "backgroundfile",
    "inputfiles": "inputfile",
    "outputtypes": "",
}
# What PDFgetX3 keeps besides: no number of a reduction depends on it.
_IGNORED = {
    "",
    "version",
    "outputtype",
    "output",
    "outputs",
    "interact",
    "plot",
    "verbose",
    "force",
    "datapath",
    "mode",
}
_IGNORED |= {"dataformat", "find", "pattern", "createsrcdir", "digest", "errorsource"}


def read_config(path: AnyPath) -> dict[str, Any]:
    """Return the settings in a file as keywords of `reduce_files`: those of `reduce`, and unit, rmin, rmax, rstep….

    Relative names of files are taken from `datapath`, or the folder of the configuration. `mode` becomes probe,
    `dataformat` becomes unit, `bgscales` and `backgroundfiles` (the first of a list) what a single one is. Settings
    that no number depends on are left out.

    Raises
    ------
    ReadError : with file and line, for a line that is no setting, a value that is no number, or a key not known.
    """
    pairs = _pairs(path)
    folder = Path(path).parent
    if "datapath" in pairs:
        folder = folder / pairs["datapath"][1]
    out: dict[str, Any] = {}
    for key, (line, value) in pairs.items():
        name = _OTHER_NAMES.get(key, key)
        if value == "" or (value.lower() == "none" and name not in (*_WORDS, "polarisation")):
            continue
        if name in _NUMBERS:
            out[name] = _number(path, line, key, value)
        elif name in _WORDS:
            out[name] = value
        elif name == "constant":
            out[name] = value.lower() in ("true", "yes", "1")
        elif name == "polarisation":
            out[name] = value if value in ("none", "unpolarised") else _number(path, line, key, value)
        elif name == "backgroundfile":
            out["background"] = _files(folder, value)[0]
        elif name == "inputfile":
            out["files"] = _files(folder, value)
        elif name in ("mode", "dataformat"):
            out |= _choice(path, line, name, value.lower())
        elif re.fullmatch(r"terminationfunctions?", name):
            out["window"] = _window(path, line, value)
        elif name not in _IGNORED:
            known = (*_NUMBERS, *_WORDS, "backgroundfile", "inputfile", "mode", "dataformat")
            raise ReadError(path, f"{key!r} is not a setting: nearest are {nearest(key, known)}", line)
    return out


def _pairs(path: AnyPath) -> dict[str, tuple[int, str]]:
    """Return key → (line, value) of the first section, up to the start of data."""
    pairs: dict[str, tuple[int, str]] = {}
    last = ""
    seen = False
    for number, raw in enumerate(read_text(path).split("\n"), start=1):
        text = raw.strip()
        if re.match(r"#+\s*(start data|L\b|S\s+\d)", text) or re.match(r"#\s*End of config", text):
            break
        if not text or text.startswith(("#", ";")):
            continue
        if text.startswith("["):
            seen = True
            continue
        match = re.fullmatch(r"([A-Za-z]\w*)\s*[=:]\s*(.*)", text)
        if match:
            last = match[1].lower()
            pairs[last] = (number, match[2].split(" #")[0].strip())
        elif raw[:1].isspace() and last:
            pairs[last] = (pairs[last][0], f"{pairs[last][1]} {text}".strip())
        else:
            raise ReadError(path, f"{text[:40]!r} is not key = value: is this a configuration?", number)
    if not seen:
        raise ReadError(path, "there is no [DEFAULT] section: begin the settings with that line")
    return pairs


def _files(folder: Path, value: str) -> list[Path]:
    """Return the files in a value: the whole of it where that exists (names may hold blanks), else its words."""
    if (folder / value).exists():
        return [folder / value]
    return [folder / one for one in re.split(r"[\s,]+", value) if one]


def _number(path: AnyPath, line: int, key: str, value: str) -> float:
    try:
        return float(re.split(r"[\s,]+", value)[0])
    except (ValueError, IndexError):
        raise ReadError(path, f"{key} = {value!r} is not a number: correct it", line) from None


def _choice(path: AnyPath, line: int, key: str, value: str) -> Mapping[str, str]:
    known, name = (_MODES, "probe") if key == "mode" else (_FORMATS, "unit")
    if value not in known:
        raise ReadError(path, f"{key} = {value!r} is not known: choose one of {', '.join(known)}", line)
    return {name: known[value]}


def _window(path: AnyPath, line: int, value: str) -> str:
    names = [name for name in re.split(r"[\s,;]+", value.lower()) if name not in ("", "step", "none")]
    if names not in ([], ["lorch"]):
        raise ReadError(path, f"the termination function {value!r} has no namesake here: write window = …", line)
    return names[0] if names else "none"


def header_lines(settings: Mapping[str, str], **more: str) -> list[str]:
    """Return settings as a header in PDFgetX3's form, which `read_config` takes back."""
    from pdfkit import __version__

    lines = ["[DEFAULT]", "", f"version = pdfkit-{__version__}", ""]
    return [*lines, *(f"{key} = {value}" for key, value in {**more, **settings}.items()), ""]
