"""pdfkit: atomic pair distribution functions, from structure models to fits of measured data.

    import pdfkit as pk

    data = pk.read_pdf("cdse.gr", probe="X", qmax=19, qdamp=0.058)
    zb = pk.Crystal.from_file("CdSe_zincblende", name="zb", shape=pk.Sphere(30))
    model = pk.Model([zb], data.instrument)
    result = pk.fit(model, data, rmin=1.5, rmax=20, free=["scale", "a", "Uiso", "spdiameter"])
    print(result)

Names are listed in `__init__.pyi` and load when they are first used, so that `import pdfkit` costs no more than numpy.
"""

import lazy_loader

__version__ = "0.1.0"
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name.startswith("_") or name in __all__:
        return _load(name)
    raise AttributeError(f"pdfkit has no {name!r}: {_advice(name)}")


def _advice(name: str) -> str:
    """Return where a name is that is not among the public ones, or which are near."""
    from importlib import import_module
    from types import ModuleType

    from pdfkit.errors import nearest

    if name == "bench":
        return "it is a command, `pdfkit bench`"
    spaces = [space for space in __all__ if isinstance(_load(space), ModuleType)] + ["errors"]
    modules = {space: import_module(f"pdfkit.{space}") for space in spaces}
    inner = {n: f"pdfkit.{space}.{n}" for space, m in modules.items() for n in getattr(m, "__all__", vars(m))}
    return f"it is {inner[name]}" if name in inner else f"nearest are {nearest(name, __all__)}"
