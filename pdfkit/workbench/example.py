"""The example of `pdfkit demo` and of the page: a measured CdSe nanocrystal, or a simulated CdS one without it."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["example", "measured_file", "simulated"]

MEASURED = "diffpy/cmi/docs/examples/pdf/ch08NPRefinement/data/CdSe-4.gr"


def measured_file() -> Path | None:
    """Return the measured CdSe-4.gr of the package diffpy.cmi, or None where it is not installed."""
    from importlib import metadata

    try:
        file = Path(str(metadata.distribution("diffpy.cmi").locate_file(MEASURED)))
    except metadata.PackageNotFoundError:
        return None
    return file.resolve() if file.is_file() else None


def example(folder: Path) -> list[str]:
    """Return data, copied or simulated into a folder, and names of the two structures that describe them."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = measured_file()
    if measured is None:
        return [str(simulated(folder / "simulated-CdS.gr")), "CdS_wurtzite", "CdS_zincblende"]
    copied = shutil.copyfile(measured, folder / measured.name)
    return [str(copied), "CdSe_wurtzite", "CdSe_zincblende"]


def simulated(file: Path) -> Path:
    """Write G(r) of intergrown CdS, 22 Å across, as an X-ray instrument of Qmax 15 Å⁻¹ would give it with noise."""
    from pdfkit.data.instrument import Instrument
    from pdfkit.io.pdf import write_pdf
    from pdfkit.model.model import Model
    from pdfkit.model.noise import simulate
    from pdfkit.phases.crystal import Crystal
    from pdfkit.shapes import Sphere

    truth = {"wz.scale": 0.4, "zb.scale": 0.6, "wz.a": 4.13, "wz.c": 6.72, "zb.a": 5.82}
    for phase in ("wz", "zb"):
        truth |= {f"{phase}.Cd.Uiso": 0.018, f"{phase}.S.Uiso": 0.022}
    phases = [
        Crystal.from_file(f"CdS_{kind}", name=name, shape=Sphere(22.0), delta2=3.0)
        for name, kind in (("wz", "wurtzite"), ("zb", "zincblende"))
    ]
    instrument = Instrument(probe="X", qmax=15.0, qdamp=0.03, window="lorch")
    model = Model(phases, instrument).with_values(truth)
    write_pdf(file, simulate(model, 0.02, 30.0, 0.02, noise=0.02, seed=2024, name="simulated CdS"))
    return file
