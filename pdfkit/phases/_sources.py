"""What a crystal is made of: structures of pdfkit and of other programs, and what files of PDFfit say beside them."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from pdfkit import _checks
from pdfkit.errors import PdfkitError
from pdfkit.structure.structure import Structure


def as_structure(obj: Any) -> Structure:
    """Return a pdfkit Structure of one, of `ase.Atoms`, or of a `diffpy.structure.Structure`."""
    if isinstance(obj, str | PathLike):
        raise PdfkitError(f"{_checks.short(obj)} is a name, not a structure: give it to Crystal.from_file")
    structure = Structure.of(obj)
    if structure is None:
        kind = f"{type(obj).__module__}.{type(obj).__name__}"
        raise PdfkitError(
            f"{kind} is not a structure: give a pdfkit Structure, ase.Atoms or diffpy.structure.Structure"
        )
    return structure


def with_tensors(structure: Structure, anisotropic: Any) -> Structure:
    """Return the structure with six numbers or one for the displacements of its sites, as `from_structure` says."""
    if anisotropic is None:
        return structure
    if isinstance(anisotropic, bool):
        return structure.with_anisotropic() if anisotropic else structure.with_isotropic()
    return structure.with_anisotropic(_checks.names("anisotropic", anisotropic))


def from_meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Phase options that a PDFfit structure file carries."""
    from pdfkit.shapes import Sphere, Stepcut

    out: dict[str, Any] = {
        key: float(meta[key]) for key in ("scale", "delta1", "delta2", "sratio", "rcut") if key in meta
    }
    if float(meta.get("spdiameter", 0.0)) > 0:
        out["shape"] = Sphere(float(meta["spdiameter"]))
    elif float(meta.get("stepcut", 0.0)) > 0:
        out["shape"] = Stepcut(float(meta["stepcut"]))
    return out
