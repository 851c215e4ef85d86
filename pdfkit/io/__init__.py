"""Files in and out: curves, structures, particles and results; a module for each kind, loaded where it is used."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
