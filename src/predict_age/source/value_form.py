"""Form of a value: what it looks like without what it says, for messages about people's data."""

from __future__ import annotations

import re

LONGEST_FORM = 24  # characters


def form_of(value: str) -> str:
    """Form of a value without the value: digits become 9, letters a or A, control characters blanks; shortened to 24 characters."""
    value = "".join(c if c.isprintable() else " " for c in value)
    form = re.sub(r"[^\W\d_]", lambda m: "A" if m[0].isupper() else "a", re.sub(r"\d", "9", value))
    return form if len(form) <= LONGEST_FORM else form[: LONGEST_FORM - 1] + "\N{HORIZONTAL ELLIPSIS}"
