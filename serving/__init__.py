"""The per-operation path: bytes in, a durable decision, bytes out."""

from domain import untold

untold.tell_nobody()
