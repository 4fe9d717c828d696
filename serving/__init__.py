"""The per-operation path: bytes in, a durable decision, bytes out."""
