"""A model of G(r): phases, an instrument, parameters, and how they become a curve."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
