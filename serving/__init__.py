"""The per-operation path: bytes in, a durable decision, bytes out."""

import os

from domain import untold

SHARED_FIGURES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""Variables by which prometheus-client would share the figures of several processes through files, at more cost a figure.

One process serves, so they are taken away before it looks. Feast sets the first for itself and for all that its process starts; where
the folder is gone, nothing could be counted and the server would not start.
"""

untold.tell_nobody()
for _name in SHARED_FIGURES:
    os.environ.pop(_name, None)
