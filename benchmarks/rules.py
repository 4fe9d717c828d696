"""What rules cost an operation: 30 that are asked of every operation, and 300 of which 30 are asked of any one. CPU time, one thread.

    python -m benchmarks.rules [--json FILE]

The rules are the live ones of the starter set and stricter variations of them, as the endpoint's benchmark has them; the vectors are
drawn at random, so that figures say something about size alone.
"""

import argparse
import time
import tomllib

import numpy as np
from msgspec.structs import replace

from benchmarks.endpoint import rule_set
from benchmarks.machine import machine
from domain.json_file import add_json, write_json
from domain.money import Money
from domain.operation import Kind, Operation, Party
from domain.rule_text import parsed, written
from domain.rules import EVERY_KIND, Rule
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.rules import Rules

FEW, MANY, ASKED, ROUNDS = 30, 300, 4_000, 7
OCCURRED = tomllib.loads("at = 2025-06-02T06:00:00Z")["at"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_json(parser)
    arguments = parser.parse_args()
    figures = measure()
    for name, value in figures.items():
        print(f"{name:44} {value:12,.4g}")
    write_json(arguments.json, {"machine": machine("cel-expr-python"), **figures})


def measure() -> dict[str, float]:
    """Microseconds of CPU time an operation, the lowest of ROUNDS rounds that take turns."""
    names = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)).names
    rules = [replace(rule, kinds=EVERY_KIND) for rule in parsed(rule_set.content())]
    sets = {f"{FEW} rules, all asked, us": rules, f"{MANY} rules, {FEW} asked, us": _many(rules),
            f"{MANY} rules, all asked, us": [replace(rule, kinds=EVERY_KIND) for rule in _many(rules)]}  # fmt: skip
    began = time.process_time()
    loaded = {name: Rules(written(of), names) for name, of in sets.items()}
    loading = time.process_time() - began
    vectors = np.random.default_rng(1).lognormal(size=(ASKED, len(names)))
    rounds = [[_cpu_us(of, vectors) for of in loaded.values()] for _ in range(ROUNDS)]
    figures = dict(zip(loaded, np.min(rounds, axis=0).tolist(), strict=True))
    few, many, _ = figures.values()
    return {**figures, f"{MANY} of which {FEW} are asked, over {FEW}": many / few, "loading the three sets, s": loading}


def _many(rules: list[Rule]) -> list[Rule]:
    """The rules once for each kind of operation."""
    return [replace(rule, id=f"{rule.id}_{place}", kinds=(kind,)) for place, kind in enumerate(Kind) for rule in rules]


def _cpu_us(rules: Rules, vectors: np.ndarray) -> float:
    operations, ask = [_operation(kind) for kind in Kind], rules.evaluate
    began = time.process_time()
    for place, vector in enumerate(vectors):
        ask(operations[place % len(operations)], 1_000_000, vector, 0.1, ())
    return (time.process_time() - began) / len(vectors) * 1e6


def _operation(kind: Kind) -> Operation:
    return Operation("1", OCCURRED, kind, Money(1_000_000, "KGS"), Party(wallet="w-1"), Party(wallet="w-2"))


if __name__ == "__main__":
    main()
