"""Series: scans over temperature, time, composition or position, fitted one like the other and kept in one file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
