"""[data] and [[pattern]] tables: what was measured, and what readers are told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdfkit.data.curves import PDF
from pdfkit.data.instrument import PROBES, RESOLUTION, SCATTERING, Instrument
from pdfkit.errors import PdfkitError, missing, remark
from pdfkit.io._functions import OF_R, named
from pdfkit.recipes.tables import ordered, placed, weight
from pdfkit.recipes.toml import Table
from pdfkit.transforms.sine import WINDOWS

if TYPE_CHECKING:
    from pdfkit.model.measured import MeasuredPattern
    from pdfkit.recipes.series import SeriesEntry

_OF_THE_CURVE = ("r_unit", "kind", "composition", "rho0")


@dataclass(frozen=True)
class DataEntry:
    """One [data] table: the file, what its reader is told, the range to fit (Å), and what its χ² is multiplied with."""

    file: Path
    name: str
    options: Mapping[str, Any]
    instrument: Mapping[str, Any]
    rmin: float | None
    rmax: float | None
    weight: float = 1.0

    def read(self) -> PDF:
        """Return the data, all of them. ReadError or PdfkitError when they, or any in range, cannot be had."""
        from pdfkit.io.pdf import read_pdf

        pdf = read_pdf(_there(self.file), **self.options)
        given = (*pdf.instrument.given, *self.instrument)
        instrument = replace(pdf.instrument, **self.instrument, given=given)
        pdf = replace(
            pdf, instrument=instrument, name=self.name or pdf.name, remarks=(*pdf.remarks, *self._against(pdf))
        )
        pdf.crop(self.rmin, self.rmax)
        return pdf

    def expected(self) -> Instrument:
        """Return the instrument of the data, or, where the file is not there yet, that of the table alone."""
        if self.file.is_file():
            return self.read().instrument
        known = {key: value for key, value in self.options.items() if key not in _OF_THE_CURVE}
        return Instrument(**known, **self.instrument)

    def _against(self, pdf: PDF) -> list[str]:
        """Say what of the table, beyond what the reader was told, contradicts the header."""
        known = {name: getattr(pdf.instrument, name) for name in self.instrument if name in pdf.instrument.given}
        return [
            remark(f"{self.file.name}: the file's header says {name} = {said}, {self.instrument[name]} is used")
            for name, said in known.items()
            if said != self.instrument[name]
        ]


def _there(file: Path) -> Path:
    if not file.is_file():
        raise PdfkitError(f"{file}: {missing(file)} (paths are relative to the recipe)")
    return file


def data_entry(table: Table, folder: Path, several: bool, series: SeriesEntry | None) -> DataEntry:
    """Return the entry of a [data] table."""
    if series is None:
        table.required("file", "the path of a G(r) file")
    file = folder / table.text("file") if "file" in table else Path(series.files[0] if series else "")
    if several:
        table.required("name", "a short name, because there are several [[data]]")
    numbers = {key: table.number(key) for key in ("qmin", "qmax", *RESOLUTION, "wavelength", "rho0", "window_width")}
    width = numbers.pop("window_width")
    options: dict[str, Any] = {key: value for key, value in numbers.items() if value is not None}
    for key, allowed in (("probe", PROBES), ("window", WINDOWS), ("r_unit", ("A", "nm"))):
        if key in table:
            options[key] = table.choice(key, allowed, "")
    options |= {key: table.text(key) for key in ("kind", "composition") if key in table}
    extra: dict[str, Any] = {} if width is None else {"window_width": width}
    if "scattering" in table:
        extra["scattering"] = table.choice("scattering", SCATTERING, "")
    if "anomalous" in table:
        extra["anomalous"] = table.raw["anomalous"]
        if not isinstance(extra["anomalous"], bool):
            raise table.wrong("anomalous", "true or false (the number is wavelength, in Å)")
    rmin, rmax = table.number("rmin"), table.number("rmax")
    ordered(table, rmin, rmax)
    try:
        if "kind" in options:
            named(options["kind"], OF_R)
        about = {key: value for key, value in options.items() if key not in _OF_THE_CURVE} | extra
        if "wavelength" not in about and about.get("probe", "X") == "X":
            about.pop("anomalous", None)  # the file's header may have the wavelength
        Instrument(**about)
    except PdfkitError as error:
        raise placed(table.source, error, table.where) from None
    return DataEntry(file, table.text("name"), options, extra, rmin, rmax, weight(table))


# --- Patterns beside G(r) --------------------------------------------------------------------------------------------

_NUMBERS = {
    "saxs": ("reach", "radius", "fraction", "spacing", "disorder", "domain", "solvent", "atomic_volume"),
    "xrd": ("reach", "monochromator", "zero", "fwhm"),
}
_WORDS = {"saxs": ("packing",), "xrd": ("polarisation",)}


@dataclass(frozen=True)
class PatternEntry:
    """One [[pattern]] table: a file of intensities, what its reader is told, and how the pattern was measured."""

    file: Path
    name: str
    kind: str
    reader: Mapping[str, Any]
    options: Mapping[str, Any]
    qmin: float | None
    qmax: float | None
    probe: str | None
    weight: float = 1.0

    def read_for(self, phases: Sequence[Any]) -> MeasuredPattern:
        """Return the pattern. ReadError or PdfkitError when it cannot be had, or not be fitted with these phases."""
        from pdfkit.io.intensity import read_intensity, read_small_angles
        from pdfkit.model.measured import Powder, SmallAngle
        from pdfkit.model.pattern import PatternModel

        data = (read_small_angles if self.kind == "saxs" else read_intensity)(_there(self.file), **self.reader)
        data = replace(data, probe=self.probe or data.probe).crop(self.qmin, self.qmax)
        made = (SmallAngle if self.kind == "saxs" else Powder)(data, **self.options)
        PatternModel(tuple(phases), made, {})
        return made


def pattern_entry(table: Table, folder: Path) -> PatternEntry:
    """Return the entry of a [[pattern]] table."""
    table.required("file", "the path of a file of intensities, over Q or 2θ")
    table.required("kind", '"saxs" (small angles) or "xrd" (a powder pattern)')
    kind = table.choice("kind", ("saxs", "xrd"), "")
    name = table.text("name") or kind
    if not name.isidentifier():
        raise table.error("name", f"the name {name!r} of a pattern cannot be used: write letters, digits and _")
    known = {*_NUMBERS[kind], *_WORDS[kind], *(("degree",) if kind == "xrd" else ())}
    for key in (*_NUMBERS["saxs"], *_NUMBERS["xrd"], *_WORDS["saxs"], *_WORDS["xrd"], "degree"):
        if key in known:
            continue
        if key in table:
            raise table.error(key, f'{key} is not of a pattern of kind = "{kind}": leave it out')
    numbers = {key: table.number(key) for key in _NUMBERS[kind]}
    options: dict[str, Any] = {key: value for key, value in numbers.items() if value is not None}
    options |= {key: table.text(key) for key in _WORDS[kind] if key in table}
    if "degree" in table:
        options["degree"] = table.raw["degree"]
    wavelength = table.number("wavelength")
    reader: dict[str, Any] = {} if wavelength is None else {"wavelength": wavelength}
    if "unit" in table:
        reader["unit"] = table.text("unit")
    probe = table.choice("probe", PROBES, "") if "probe" in table else None
    return PatternEntry(
        folder / table.text("file"),
        name,
        kind,
        reader,
        options,
        table.number("qmin"),
        table.number("qmax"),
        probe,
        weight(table),
    )
