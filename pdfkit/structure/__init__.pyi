from .site import Site as Site
from .structure import Structure as Structure

__all__: list[str]
