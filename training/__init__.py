"""History in, model bundle out."""

from domain import untold

untold.tell_nobody()
