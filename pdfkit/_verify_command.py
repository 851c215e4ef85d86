"""What `pdfkit verify` prints, and the code it ends with."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from pdfkit.verification import verify


def verify_command(
    topics: Sequence[str] = (), *, as_json: bool = False, tell: Callable[[int, int, str], None] | None = None
) -> tuple[str, int]:
    """Return the report as text (or one JSON object) and the exit code: 0 when every row agrees, else 1."""
    found = verify(*topics, tell=tell)
    if not as_json:
        return found.table(), 0 if found.ok else 1
    values = found.to_dict()
    for row in values["rows"]:
        row["measured"] = row["measured"] if math.isfinite(row["measured"]) else None
    return json.dumps(values, ensure_ascii=False, allow_nan=False), 0 if found.ok else 1
