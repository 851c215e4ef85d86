"""What makes numba compile in three quarters of its time, without a change of what it compiles.

It leaves hundreds of thousands of small objects, which the collector of cycles walks through again and again; and for
each + and × it tries the overloads of that operator one by one, also where the same operator met the same types a line
before. Neither is done here while a kernel compiles.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def quick(compiling: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same, done under the lock of the compiler without collections and with one look at each operation.

    A kernel that another one calls with a constant is not compiled anew for this constant.
    """

    def done(signature: tuple[Any, ...]) -> Any:
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.types.misc import unliteral

        with global_compiler_lock, _uncollected(), _remembered():
            return compiling(tuple(unliteral(one) for one in signature))

    return done


@contextmanager
def _uncollected() -> Iterator[None]:
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _remembered() -> Iterator[None]:
    """Keep what numba finds for an operation on numbers and arrays until the outermost kernel is compiled.

    These are inner parts of numba: where another version has them elsewhere, compiling takes the longer time.
    """
    from numba.core import types
    from numba.core.types import containers, functions

    operators: Any = getattr(functions, "BaseFunction", None)
    resolve = getattr(operators, "get_call_type", None)
    if resolve is None:
        yield
        return
    plain = (types.Number, types.Boolean, types.Array, containers.BaseTuple)
    found: dict[Any, Any] = {}

    def resolved(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws or not all(isinstance(one, plain) for one in args):
            return resolve(self, context, args, kws)
        key = id(self), *args
        if key not in found:  # with the operator itself, so that no other one can have its id
            found[key] = resolve(self, context, args, kws), self
        return found[key][0]

    if resolve.__name__ == resolved.__name__:  # a kernel that another one calls
        yield
        return
    operators.get_call_type = resolved
    try:
        yield
    finally:
        operators.get_call_type = resolve
