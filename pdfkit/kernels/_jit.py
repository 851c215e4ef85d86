"""The one compile policy of all kernels.

`nogil` so that an executor of threads can run several evaluations at once; `cache` so that a process pays the compile
time once per installation; no `parallel`, because numba's fallback threading layer aborts the process when two Python
threads enter parallel kernels. Sums may be reassociated (vector units), which moves results by rounding only; NaN and
infinity keep their meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` on first call, one specialisation per kernel (callers pass writable C-ordered arrays)."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})(
        function
    )
    return cast(F, compiled)
