"""Is it fast, on this machine, alone and beside other programs?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
