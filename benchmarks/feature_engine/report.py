"""What the parts measured -> the figures of the bar, and one table."""

from typing import Any

Figures = dict[str, Any]


def figures_of(parts: dict[str, Figures], rows: int, large_rows: int) -> Figures:
    """The figures by name; None where a part was left out."""
    kernel, entities, large, online = (parts.get(name) for name in ("kernel", "entities", "large", "online"))
    beside = {peer: parts.get(f"{peer}_values") for peer in ("duckdb", "polars")}
    first = kernel and kernel["rounds"][0]
    compared = [each for each in beside.values() if each]
    return {
        "data": "generated, see benchmarks/feature_engine/generated.py",
        "rows": rows,
        "large_rows": large_rows,
        "cpu_per_feature_ratio": {peer: _over(parts.get(peer), kernel, "cpu_s_per_feature") for peer in beside},
        "cpu_per_feature_ratio_by_entity": {peer: _over(parts.get(peer), entities, "cpu_s_per_feature") for peer in beside},
        "like_for_like_ratio": {
            peer: _quotient(parts[peer]["cpu_s"], each["ours_cpu_s"]) if each else None for peer, each in beside.items()
        },
        "kernel_over_parquet_write": _quotient(kernel["cpu_s"], kernel["write_cpu_s"]) if kernel else None,
        "kernel_over_parquet_write_first_round": _quotient(first["cpu_s"], first["write_cpu_s"]) if first else None,
        "kernel_share_in_system": _quotient(kernel["system_cpu_s"], kernel["cpu_s"]) if kernel else None,
        "by_entity_over_parquet_write": _quotient(entities["cpu_s"], kernel["write_cpu_s"]) if entities and kernel else None,
        "by_entity_share_in_system": _quotient(entities["system_cpu_s"], entities["cpu_s"]) if entities else None,
        "cost_per_row_20m_over_5m": _over(large, kernel, "cpu_us_per_operation"),
        "online_us": online and online["both_us"],
        "online_read_us": online and online["read_us"],
        "online_apply_us": online and online["apply_us"],
        "values_differ": sum(each["values_differ"] for each in compared) if compared else None,
        "values_compared": sum(each["values_compared"] for each in compared),
        "feast": _feast(parts),
        "peak_gib": {name: part["peak_gib"] for name, part in parts.items()},
        "parts": parts,
    }


def _feast(parts: dict[str, Figures]) -> Figures | None:
    """Feast beside plain Polars: seconds of wall time and of CPU; `join_over_polars` is of CPU; the snapshot is read from SQLite."""
    if "feast" not in parts:
        return None
    joined, served, online = parts["feast"], parts["feast_service"], parts["feast_online"]
    return {
        "join_rows": joined["rows"], "join_s": joined["feast"]["s"], "join_cpu_s": joined["feast"]["cpu_s"],
        "polars_join_s": joined["polars"]["s"], "polars_join_cpu_s": joined["polars"]["cpu_s"],
        "join_over_polars": _quotient(joined["feast"]["cpu_s"], joined["polars"]["cpu_s"]),
        "own_values_s": joined["own_values"]["s"], "own_values_cpu_s": joined["own_values"]["cpu_s"],
        "values_differ": joined["values_differ"], "values_compared": joined["values_compared"],
        "service": {
            "rows": served["rows"], "features": served["features"], "s": served["feast"]["s"], "cpu_s": served["feast"]["cpu_s"],
            "own_s": served["own_vectors"]["s"], "own_cpu_s": served["own_vectors"]["cpu_s"],
            "values_differ": served["values_differ"], "values_compared": served["values_compared"],
        },
        "online_rows": online["profiles"],
        "materialise_rows_per_s": {store: online[store]["materialise_rows_per_s"] for store in ("sqlite", "valkey")},
        "snapshot_rows_per_s": online["sqlite"]["snapshot_rows_per_s"],
        "snapshot_rows_per_s_from_valkey": online["valkey"]["snapshot_rows_per_s"],
    }  # fmt: skip


def _over(above: Figures | None, below: Figures | None, key: str) -> float | None:
    return _quotient(above[key], below[key]) if above and below else None


def _quotient(above: float, below: float) -> float:
    return above / below if below else float("inf")


def table(figures: Figures) -> str:
    """One line a measurement."""
    blocks = [_engines(figures), _bars(figures), _feast_lines(figures["feast"])]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _engines(figures: Figures) -> list[str]:
    """CPU seconds of whole feature sets, ours and the peers'."""
    lines = [f"{'generated operations':34} {'count':>12} {'features':>9} {'CPU s':>9} {'CPU s/feature':>14} {'peak GiB':>9}"]
    names = {
        "kernel": "our whole set, in order of arrival", "entities": "our whole set, entity by entity", "large": "our whole set, large", "duckdb": "DuckDB, RANGE frames",
        "polars": "Polars, rolling and over", "duckdb_values": "ours on DuckDB's features", "polars_values": "ours on Polars' features",
    }  # fmt: skip
    for key, name in names.items():
        part = figures["parts"].get(key)
        if part is None:
            continue
        cpu = part.get("ours_cpu_s", part.get("cpu_s"))
        count = figures["large_rows" if key == "large" else "rows"]
        lines.append(
            f"{name:34} {count:12,} {part['features']:9} {cpu:9.1f} {cpu / part['features']:14.3f} {part['peak_gib']:9.2f}"
        )
    return lines


def _bars(figures: Figures) -> list[str]:
    """The figures of the bar, in words."""
    words = {
        "CPU per feature, DuckDB over our whole set": figures["cpu_per_feature_ratio"]["duckdb"],
        "CPU per feature, Polars over our whole set": figures["cpu_per_feature_ratio"]["polars"],
        "the same entity by entity, DuckDB": figures["cpu_per_feature_ratio_by_entity"]["duckdb"],
        "the same entity by entity, Polars": figures["cpu_per_feature_ratio_by_entity"]["polars"],
        "the same features, DuckDB over ours": figures["like_for_like_ratio"]["duckdb"],
        "the same features, Polars over ours": figures["like_for_like_ratio"]["polars"],
        "our CPU over that of writing the matrix": figures["kernel_over_parquet_write"],
        "the same, in the first of its rounds": figures["kernel_over_parquet_write_first_round"],
        "share of ours in the operating system": figures["kernel_share_in_system"],
        "by entity, over that of writing the matrix": figures["by_entity_over_parquet_write"],
        "share of it in the operating system, by entity": figures["by_entity_share_in_system"],
        "cost per row, large over small": figures["cost_per_row_20m_over_5m"],
    }
    lines = [f"{name:46} {value:8.2f}" for name, value in words.items() if value is not None]
    for name in ("online_us", "online_read_us", "online_apply_us"):
        if figures[name]:
            lines.append(f"{name.replace('_', ' '):46} p50 {figures[name]['p50']:.2f}, p99 {figures[name]['p99']:.2f}")
    if figures["values_differ"] is not None:
        lines.append(f"{'values that differ':46} {figures['values_differ']:,} of {figures['values_compared']:,}")
    return lines


def _feast_lines(feast: Figures | None) -> list[str]:
    """Feast's figures, a join or a store a line."""
    if feast is None:
        return []
    whole = feast["service"]
    lines = [f"{'profiles of operations':46} {'count':>12} {'wall s':>9} {'CPU s':>9}"]
    for name, rows, wall, cpu in (
        ("Feast's join of the three profile views", feast["join_rows"], feast["join_s"], feast["join_cpu_s"]),
        ("Polars, join_asof of the same files", feast["join_rows"], feast["polars_join_s"], feast["polars_join_cpu_s"]),
        ("ours: profiles made and compared, no files", feast["join_rows"], feast["own_values_s"], feast["own_values_cpu_s"]),
        (f"Feast's served service, {whole['features']} features", whole["rows"], whole["s"], whole["cpu_s"]),
        ("ours: the same vectors", whole["rows"], whole["own_s"], whole["own_cpu_s"]),
    ):
        lines.append(f"{name:46} {rows:12,} {wall:9.2f} {cpu:9.2f}")
    rates = {
        "materialised to SQLite, rows a second": feast["materialise_rows_per_s"]["sqlite"],
        "materialised to Valkey, rows a second": feast["materialise_rows_per_s"]["valkey"],
        "snapshot from SQLite, rows a second": feast["snapshot_rows_per_s"],
        "snapshot from Valkey, rows a second": feast["snapshot_rows_per_s_from_valkey"],
    }
    lines += ["", f"{'CPU of the join, Feast over Polars':46} {feast['join_over_polars']:12.2f}"]
    lines += [f"{name:46} {rate:12,.0f}" for name, rate in rates.items()]
    for name, part in (("joined values that differ", feast), ("values of the service that differ", whole)):
        lines.append(f"{name:46} {part['values_differ']:12,} of {part['values_compared']:,}")
    return lines
