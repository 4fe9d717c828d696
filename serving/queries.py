"""What stands after the question mark of an address, and numbers in its path: read by a type, refused with the field named."""

from typing import TypeVar

import msgspec
from fastapi import Request

from domain.errors import InputError
from serving.contracts import Refusal, invalid

AskedT = TypeVar("AskedT", bound=msgspec.Struct)
LARGEST_NUMBER = 2**53 - 1
"""Of an entry: beyond it JSON's readers differ."""


def asked(request: Request, type_: type[AskedT]) -> AskedT:
    """The query of a request; Refusal 422 for what does not fit, is not known, or stands twice."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    for name, value in pairs:
        if "\0" in value:  # which PostgreSQL takes in no text
            raise InputError(name, value, "any character but NUL")
    for name in names:
        if names.count(name) > 1:
            raise InputError(name, "twice", "each once")
    try:
        found = msgspec.convert(dict(pairs), type_, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(422, invalid(error, type_)) from None
    for name in names:
        if getattr(found, name) is None:  # the text null, which msgspec reads as nothing
            raise InputError(name, "null", "a value, or leave it out")
    return found


def number(text: str, field: str) -> int:
    """A number of an entry in a path; InputError for anything else."""
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 16 and 1 <= int(text) <= LARGEST_NUMBER):
        raise InputError(field, text, f"1 to {LARGEST_NUMBER}")
    return int(text)
