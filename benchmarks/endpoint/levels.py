"""What a server decided meanwhile, as its own metrics say."""

import http.client
import re
from contextlib import closing

_LINE = re.compile(r"^burana_(decisions|degraded)_total\{\w+=\"(\w+)\"\} (\S+)$", re.MULTILINE)


def levels_of(port: int, key: str) -> dict[str, float]:
    """`decided`, `stopped_share` (medium or high), and how many were decided without a part of the way."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"})
        told = connection.getresponse().read().decode()
    counts = {(name, label): float(count) for name, label, count in _LINE.findall(told)}
    decided = sum(count for (name, _), count in counts.items() if name == "decisions")
    degraded = sum(count for (name, _), count in counts.items() if name == "degraded")
    return {"decided": decided, "stopped_share": 1 - counts.get(("decisions", "low"), 0.0) / decided, "degraded": degraded}
