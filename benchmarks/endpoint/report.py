"""What was measured -> the figures of the bar, and one table."""

from typing import Any

from benchmarks.endpoint.targets import PEERS

Figures = dict[str, Any]
NAMES = {
    "ours": "burana serve, durable", "stock": "FastAPI + pydantic + Feast + pyfunc", "mlflow_serve": "mlflow models serve",
    "fastapi_constant": "FastAPI, a constant", "echo": "the same server, echo",
}  # fmt: skip


def figures_of(measured: Figures) -> Figures:
    """The figures by name; None where a part was left out."""
    servers, ours = measured["servers"], measured["servers"]["ours"]
    ratios = {name: ours["per_s"] / servers[name]["per_s"] for name in PEERS if name in servers}
    postgresql = measured.get("postgresql")
    ratios |= {"postgresql_over_sqlite": postgresql and postgresql["one_core"]["postgresql_over_sqlite"]}
    return {
        "throughput_ratio": ratios,
        "p50_ratio": {name: servers[name]["alone_p50_ms"] / ours["alone_p50_ms"] for name in PEERS if name in servers},
        "p50_over_fdatasync": ours["alone_p50_ms"] / servers["fdatasync_p50_ms"],
        "p99_over_p50_at_1000": ours["p99_over_p50"],
        "ready_s": measured["starts"]["ready_s"],
        "ready_after_kill_s": measured["starts"]["ready_after_kill_s"],
        "mib_per_100000_accounts": measured["starts"]["mib_per_100000_accounts"],
        **measured,
    }


def table(figures: Figures) -> str:
    """A server a line, then the bar."""
    return "\n\n".join("\n".join(block) for block in (_world(figures["world"]), _servers(figures), _bar(figures)))


def _world(world: Figures) -> list[str]:
    return [
        f"simulated: {world['operations']:,} operations ({world['entries']:,} entries) of {world['accounts']:,} accounts in the ledger; "
        f"{world['features']} features, {world['trees']} trees of {world['leaves']} leaves, {world['rules']} rules, "
        f"{world['registry']:,} listed; {world['stopped_share']:.1%} medium or high, {world['degraded']:,.0f} degraded"
    ]


def _servers(figures: Figures) -> list[str]:
    lines = [
        f"{'one core':38} {'answers/s':>10} {'CPU us':>9} {'alone p50':>10} {'p99 ms':>8} {'at rate p50':>12} {'p99':>7} {'p99.9':>7}"
    ]
    for name, words in NAMES.items():
        if (server := figures["servers"].get(name)) is None:
            continue
        alone = server["alone_ms"][0]
        line = f"{words:38} {server['per_s']:10,.0f} {server['cpu_us']:9,.0f} {server['alone_p50_ms']:10.3f} {alone['p99']:8.3f}"
        if at_rate := server.get("at_rate_ms"):
            line += f" {at_rate[0]['p50']:12.3f} {at_rate[0]['p99']:7.3f} {at_rate[0]['p999']:7.3f}"
        lines.append(line)
    return [*lines, f"{'append of 4 KiB with fdatasync':38} {'':10} {'':9} {figures['servers']['fdatasync_p50_ms']:10.3f}"]


def _bar(figures: Figures) -> list[str]:
    starts, postgresql, soak = figures["starts"], figures.get("postgresql"), figures.get("soak")
    values = {f"throughput over {NAMES[name]}": figures["throughput_ratio"][name] for name in PEERS}
    values |= {f"p50 of {NAMES[name]} over ours": figures["p50_ratio"][name] for name in PEERS}
    values |= {
        "p50 alone over fdatasync": figures["p50_over_fdatasync"],
        "p99 over p50 at the open loop's rate": figures["p99_over_p50_at_1000"],
        "ready after a clean stop, s": starts["ready_s"],
        "ready after kill -9, s": starts["ready_after_kill_s"],
        "ready from the ledger alone, s": starts["ready_from_ledger_s"],
        "MiB for 100,000 accounts and their history": starts["mib_per_100000_accounts"],
        "MiB resident, own": starts["resident_mib"]["own"],
    }
    if postgresql:
        values["throughput, PostgreSQL over SQLite, one core"] = postgresql["one_core"]["postgresql_over_sqlite"]
        values["the same, PostgreSQL on the other core"] = postgresql["two_cores"]["postgresql_over_sqlite"]
    if soak:
        values[f"soak of {soak['operations']:,}: bytes grown an operation"] = soak["bytes_per_operation"]
    return [f"{name:52} {value:10.2f}" for name, value in values.items()]
