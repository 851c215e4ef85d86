"""Settings of reductions as PDFgetX3 keeps them: `[DEFAULT]` and `key = value`, in a .cfg or at the head of a .gr."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pdfkit.errors import ReadError, nearest
from pdfkit.io._atomic import AnyPath
from pdfkit.io._text import read_text
from pdfkit.reduction.settings import MODES, POLARISATIONS

_FORMATS = {"qa": "A-1", "qnm": "nm-1", "twotheta": "2theta"}
_PROBES = {"sas": "X", "x-ray": "X", **{word: probe for probe, word in MODES.items()}}
# What PDFgetX3 keeps besides: no number of a reduction depends on it.
_IGNORED = {"version", "outputtype", "outputtypes", "output", "outputs", "interact", "plot", "verbose", "force"}
_IGNORED |= {"datapath", "find", "pattern", "createsrcdir", "digest", "errorsource", "amplitude"}


def read_config(path: AnyPath) -> dict[str, Any]:
    """Return the settings in a file as keywords of `reduce_files`: those of `reduce`, and rmin, rmax, rstep….

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
        if not value or key in _IGNORED:
            continue
        if key not in _KEYS:
            raise ReadError(path, f"{key!r} is not a setting: nearest are {nearest(key, sorted(_KEYS))}", line, key=key)
        name, kind = _KEYS[key]
        if value.lower() == "none" and name not in _WORDS:
            continue
        try:
            out[name] = kind(value)
        except ValueError as error:
            raise ReadError(path, f"{key} = {value!r} {error}", line, key=key) from None
    if "background" in out:
        out["background"] = _files(folder, out["background"])[0]
    if "files" in out:
        out["files"] = _files(folder, out["files"])
    return out


def _number(value: str) -> float:
    try:
        return float(re.split(r"[\s,]+", value)[0])
    except ValueError:
        raise ValueError("is not a number: correct it") from None


def _number_or_word(value: str) -> float | str:
    return value if value in POLARISATIONS else _number(value)


def _yes(value: str) -> bool:
    return value.lower() in ("true", "yes", "1")


def _one_of(known: Mapping[str, str]) -> Callable[[str], str]:
    def word(value: str) -> str:
        if value.lower() not in known:
            raise ValueError(f"is not known: choose one of {', '.join(known)}")
        return known[value.lower()]

    return word


def _window(value: str) -> str:
    names = [name for name in re.split(r"[\s,;]+", value.lower()) if name not in ("", "step", "none")]
    if names not in ([], ["lorch"]):
        raise ValueError("is not supported as a termination function: write window = …")
    return names[0] if names else "none"


_WORDS = ("composition", "method", "errors", "extrapolate", "window", "polarisation")
_NUMBERS = "bgscale rpoly qmaxinst qmin qmax rmin rmax rstep wavelength twothetazero"
_NUMBERS += " rho0 recoil absorption slow rcut filter_passes"
# The keys of a configuration: the setting that each is, and what makes a value of its text.
_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **{name: (name, _number) for name in _NUMBERS.split()},
    **{name: (name, str) for name in _WORDS},
    "bgscales": ("bgscale", _number),
    **{name: (name, _yes) for name in ("constant", "compton", "absolute", "anomalous")},
    "polarisation": ("polarisation", _number_or_word),
    "mode": ("probe", _one_of(_PROBES)),
    "dataformat": ("unit", _one_of(_FORMATS)),
    **dict.fromkeys(("terminationfunction", "terminationfunctions"), ("window", _window)),
    **dict.fromkeys(("backgroundfile", "backgroundfiles"), ("background", str)),
    **dict.fromkeys(("inputfile", "inputfiles"), ("files", str)),
}


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


def header_lines(settings: Mapping[str, str], **more: str) -> list[str]:
    """Return settings as a header in PDFgetX3's form, which `read_config` takes back."""
    from pdfkit import __version__

    lines = ["[DEFAULT]", "", f"version = pdfkit-{__version__}", ""]
    return [*lines, *(f"{key} = {value}" for key, value in {**more, **settings}.items()), ""]
