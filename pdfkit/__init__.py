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
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
