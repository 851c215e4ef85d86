"""Files to disk in one step, for every output: text, HDF5 files, figures."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from pdfkit.errors import WriteError

AnyPath = str | os.PathLike[str]


def write_bytes(path: AnyPath, data: bytes) -> Path:
    """Write `data` to `path`: a temporary file in the same folder, then a rename. Return the path.

    A reader sees the old file or the new one, never half of it; a failure leaves the old file alone. A symbolic link
    is followed, and an existing file keeps its permissions.

    Raises WriteError when the folder is missing, the path is a folder, or the disk refuses.
    """
    try:
        target = Path(os.path.realpath(path))
    except (TypeError, ValueError, OSError):
        raise WriteError(f"{path!r} cannot be written: give a file name") from None
    temporary = target.parent / f".pdfkit-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        if target.is_dir():
            raise WriteError(f"{path}: this is a folder: give a file name in it")
        if not target.parent.is_dir():
            raise WriteError(f"{path}: the folder {target.parent} does not exist: create it first")
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}): check permissions and space") from None
    except ValueError as error:
        if isinstance(error, WriteError):
            raise
        raise WriteError(f"{path!r} cannot be written: give a file name") from None
    finally:
        _remove(temporary)
    return Path(path)


def write_text(path: AnyPath, text: str) -> Path:
    """Write text as UTF-8 as `write_bytes` does; WriteError, too, for text that UTF-8 cannot hold."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise WriteError(f"{path}: cannot be written as UTF-8: remove lone surrogates") from None
    return write_bytes(path, data)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except (OSError, ValueError):
        return  # nothing was made where nothing can be removed
