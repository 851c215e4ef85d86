"""The one compile policy of all kernels.

`nogil` so that an executor of threads can run several evaluations at once; `cache` so that a process pays the compile
time once per installation; no `parallel`, because numba's fallback threading layer aborts the process when two Python
threads enter parallel kernels. Sums may be reassociated (vector units), which moves results by rounding only; NaN and
infinity keep their meaning.

Where nothing can be cached (installation and home read-only, disk full) kernels are compiled in each process, and that
is said once. A cache that is damaged is as good as none. What the owner of an installation compiled lies beside it and
serves everyone, also those who cannot write there: numba alone would only look where it can write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

from pdfkit.kernels._compiling import quick

F = TypeVar("F", bound=Callable[..., Any])

NO_CACHE = (
    "compiled code cannot be kept ({reason}): every run compiles anew, which takes up to a minute; "
    "let NUMBA_CACHE_DIR name a folder that can be written"
)
_said: list[str] = []


def kernel(function: F) -> F:
    """Compile `function` on first call, one specialisation per kernel (callers pass writable C-ordered arrays)."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
    options["no_cfunc_wrapper"] = True  # what C would call: nobody does
    try:
        compiled = numba.njit(cache=True, **options)(function)
        _sharing(compiled._cache, function.__code__.co_filename)
        _loading(compiled._cache)
        _forgiving(compiled._cache)
    except RuntimeError:  # numba found no folder for it
        _say("neither the installation nor the user's cache folder can be written")
        compiled = numba.njit(**options)(function)
    compiled.compile = quick(compiled.compile)
    return cast(F, compiled)


def inlined(function: F) -> F:
    """Let `function` be a part of the kernels of its file that call it: a call of its own counts the uses of arrays."""
    return cast(F, numba.njit(inline="always")(function))


def _sharing(cache: Any, source: str) -> None:
    """Let a cache elsewhere also read, not write, what was compiled beside the source."""
    from pathlib import Path

    from numba.core.caching import IndexDataCacheFile

    folder = Path(source).absolute().parent / "__pycache__"
    if Path(cache.cache_path).absolute() == folder:
        return
    implementation, load = cache._impl, cache._cache_file.load
    installed = IndexDataCacheFile(str(folder), implementation.filename_base, implementation.locator.get_source_stamp())

    def loaded(key: Any) -> Any:
        own = load(key)
        return installed.load(key) if own is None else own

    cache._cache_file.load = loaded


def _loading(cache: Any) -> None:
    """Let what was compiled before be loaded without all that numba loads to compile, which takes a fifth of a second.

    Compiling makes it ready itself. These are inner parts of numba: where another version has them elsewhere, loading
    takes the longer time.
    """
    load, guard = (getattr(cache, name, None) for name in ("_load_overload", "_guard_against_spurious_io_errors"))
    if load is None or guard is None:
        return

    def loaded(signature: Any, target: Any) -> Any:
        from numba.core.runtime import rtsys

        rtsys.initialize(target)  # the memory of arrays that kernels make
        with guard():
            return load(signature, target)

    cache.load_overload = loaded


def _forgiving(cache: Any) -> None:
    """Let a cache that cannot be read or written stop nothing."""
    for name in ("load_overload", "save_overload"):
        setattr(cache, name, _guarded(getattr(cache, name), cache.cache_path))


def _guarded(method: Callable[..., Any], folder: str) -> Callable[..., Any]:
    def tried(*arguments: Any) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # whatever unpickling half a file brings
            _say(f"{getattr(error, 'strerror', None) or type(error).__name__} in {folder}")
            return None

    return tried


def _say(reason: str) -> None:
    from pdfkit.errors import remark

    if not _said:
        _said.append(reason)
        remark(NO_CACHE.format(reason=reason), stacklevel=4)
