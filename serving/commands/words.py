"""An argument that is a word of a list."""

from argparse import ArgumentTypeError
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from domain.errors import shortened


def one_of(words: Iterable[StrEnum]) -> dict[str, Any]:
    """For `add_argument`: these words in its help, and for any other one a refusal that says what was seen and names them."""
    allowed = {word.value: word for word in words}

    def read(text: str) -> StrEnum:
        if text not in allowed:
            raise ArgumentTypeError(f"seen {shortened(text)}, allowed {', '.join(allowed)}")
        return allowed[text]

    return {"type": read, "metavar": f"{{{','.join(allowed)}}}"}
