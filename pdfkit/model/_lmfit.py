"""`lmfit.Parameter` and `lmfit.Parameters` without the half second that the rest of lmfit takes to import.

lmfit imports whole what its minimizers and models need: scipy.stats, matplotlib, pandas, emcee, where they are
installed. Fits here use its parameters alone. So the package stands there unfinished until something else of it is
asked for, by whomever; then it is finished, and is as if it had been imported in the usual way.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

_lock = threading.RLock()


class _Unfinished(ModuleType):
    """A package whose modules can be imported, and whose own code runs when one asks for anything else."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":  # what the machinery of imports asks for
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _finish(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        _finish(self)
        return dir(self)


def _finish(package: ModuleType) -> None:
    with _lock:
        if type(package) is _Unfinished:
            package.__class__ = ModuleType  # type: ignore[assignment]  # what it was made as
            loader = _spec_of(package).loader
            assert loader is not None
            loader.exec_module(package)


def _spec_of(package: ModuleType) -> ModuleSpec:
    spec = package.__spec__
    assert spec is not None
    return spec


def _parameters() -> ModuleType:
    """Import `lmfit.parameter` alone, without what its JSON of pickled functions needs."""
    with _lock:
        spec = find_spec("lmfit")
        if "lmfit" in sys.modules or spec is None:  # the user's own import, or none to be had, which says so
            return import_module("lmfit.parameter")
        package = module_from_spec(spec)
        package.__class__ = _Unfinished
        later = ModuleType("lmfit.jsonutils")
        later.encode4js = lambda obj: import_module("lmfit.jsonutils").encode4js(obj)  # type: ignore[attr-defined]  # so is a module
        later.decode4js = lambda obj: import_module("lmfit.jsonutils").decode4js(obj)  # type: ignore[attr-defined]  # so is a module
        sys.modules |= {"lmfit": package, "lmfit.jsonutils": later}
        try:
            return import_module("lmfit.parameter")
        except BaseException:
            del sys.modules["lmfit"]
            raise
        finally:
            del sys.modules["lmfit.jsonutils"]


if TYPE_CHECKING:
    from lmfit import Parameter as Parameter
    from lmfit import Parameters as Parameters
else:
    _found = _parameters()
    Parameter, Parameters = _found.Parameter, _found.Parameters
