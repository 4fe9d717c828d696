"""Steps of degrading, declared: what fails, how a test provokes it, and what the caller, the log and the metrics then show.

`tests/serving/test_steps.py` provokes each; the table in ARCHITECTURE.md is made from these rows by `python -m tests.serving.steps`.
"""

from pathlib import Path
from typing import NamedTuple

from tests.serving import database_faults, faults
from tests.serving.places import Fault

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"
COMMAND = "python -m tests.serving.steps"
BEGIN = f"<!-- made by `{COMMAND}` -->\n"
END = "<!-- until here -->\n"
AS_EVER = "as ever"
"""The level that the operation gets when nothing has failed, with nothing in `degraded`."""


class Step(NamedTuple):
    """One step. status 0: nobody answers; level: of the decision, "" without one; degraded: as it says; then: what happens besides.

    log: words that the log has; metric: a sample of /metrics that has risen from 0, "" where there is nothing to scrape.
    """

    what: str
    fault: Fault
    by: str
    status: int
    level: str
    degraded: tuple[str, ...]
    then: str
    log: str
    metric: str


def _verified(what: str, fault: Fault, by: str, degraded: str, then: str, log: str, metric: str = "") -> Step:
    """A step that leads to verification. degraded: by spaces."""
    steps = tuple(degraded.split())
    counted = metric or f'burana_degraded_total{{step="{steps[0]}"}}'
    return Step(what, fault, by, 200, "medium", steps, then, log, counted)


def _unmoved(what: str, fault: Fault, by: str, then: str, log: str, metric: str) -> Step:
    """A step that no decision feels."""
    return Step(what, fault, by, 200, AS_EVER, (), then, log, metric)


def _refused(what: str, fault: Fault, by: str, then: str, log: str) -> Step:
    """A step in which nothing can be recorded."""
    return Step(what, fault, by, 503, "", (), then, log, "burana_ledger_failures_total")


MENDED = "Retry-After; nothing acknowledged is lost; taken again without a restart"
STAYS = "the champion in force stays, as it was loaded"
STEPS = {
    "no_champion": _verified(
        "no champion", faults.no_champion, "`--without-model`", "no_model", "registry and rules act", "no champion",
    ),
    "model_raises": _verified(
        "the model fails", faults.model_that("raises"), "a graph that cannot be run", "no_model", "registry and rules act",
        "the model failed",
    ),
    "model_gives_none": _verified(
        "the model gives no probability", faults.model_that("NaN"), "a graph that gives NaN", "no_model", "registry and rules act",
        "which is no probability",
    ),
    "bundle_damaged_before": Step(
        "the champion's bundle is damaged at the start", faults.bundle_damaged_before, "a flipped bit of `model.onnx`", 0, "", (),
        "the server does not start, and names the file", "is not the file that its manifest states", "",
    ),
    "bundle_damaged_while_running": _unmoved(
        "the same while it runs", faults.bundle_damaged_while_running, "a flipped bit of `model.onnx`", STAYS,
        "is not the file that its manifest states", "burana_champions_refused_total",
    ),
    "damaged_bundle_named": _unmoved(
        "a bundle is named that does not fit", faults.damaged_bundle_named, "CHAMPION names one with a flipped bit",
        "refused once; " + STAYS, "stays in force", "burana_champions_refused_total",
    ),
    "explanation_broken": Step(
        "the score cannot be explained", faults.explanation_broken, "contributions of other trees", 200, "medium", (),
        "the level stands; the reason `score_not_explained` says so", "could not be explained", "burana_scores_not_explained_total",
    ),
    "challenger_broken": _unmoved(
        "a challenger fails", faults.challenger_broken, "a graph that gives NaN", "taken out until CHALLENGERS is written again",
        "failed and is taken out", "burana_challengers_failed_total",
    ),
    "profiles_missing": _verified(
        "no profiles, where the model reads them", faults.profiles_of(), "an empty folder", "no_profiles", "scored without them",
        "no profiles of",
    ),
    "profiles_stale": _verified(
        "profiles older than `profiles_days_behind`", faults.profiles_of(9), "a snapshot of nine days before", "stale_profiles",
        "scored without them", "no profiles of",
    ),
    "profiles_damaged": _unmoved(
        "a newer snapshot of profiles is damaged", faults.profiles_damaged, "a flipped bit of `customer_rows.npy`",
        "refused once; what was loaded stays", "profiles refused", "burana_profiles_refused_total",
    ),
    "features_unreadable": _verified(
        "the features cannot be read", faults.features_unreadable, "damaged buffers of the engine", "no_features rule_failed",
        "recorded; rules of features fail; the features are rebuilt from the ledger", "features could not be read",
    ),
    "features_behind": _verified(
        "the features cannot take a record", faults.features_behind, "damaged buffers of the engine, an event", "no_features rule_failed",
        "recorded; not asked until rebuilt from the ledger", "could not take a record", "burana_features_failed_total",
    ),
    "state_damaged": _unmoved(
        "the features' snapshot is damaged", faults.state_damaged, "a flipped bit of `state.npz`", "rebuilt from the ledger at the start",
        "rebuilding from the whole ledger", "burana_states_refused_total",
    ),
    "rule_failing": _verified(
        "a rule fails", faults.rule_failing, "a division by zero", "rule_failed", "the reason names it; the others act",
        "could not be evaluated",
    ),
    "rules_not_compiling": _unmoved(
        "a set of rules does not compile", faults.rules_not_compiling, "a set written past the check", "the last set stays in force",
        "rules could not be followed", "burana_rules_refused_total",
    ),
    "registry_gone": _unmoved(
        "registry, rules or keys cannot be looked at", faults.registry_gone, "a table that is gone", "what was loaded last stays in force",
        "the registry could not be followed", "burana_follow_failures_total",
    ),
    "disk_full": _refused(
        "the disk is full, SQLite", database_faults.disk_full, "a full tmpfs", MENDED + ", once there is room", "database or disk is full",
    ),
    "postgresql_disk_full": _refused(
        "the disk is full, PostgreSQL", database_faults.postgresql_disk_full, "a tablespace on a full tmpfs", MENDED + ", once there is room",
        "No space left on device",
    ),
    "postgresql_killed": _refused(
        "PostgreSQL is gone", database_faults.postgresql_killed, "SIGKILL", MENDED + ", the ledger held anew", "callers are told to retry",
    ),
    "postgresql_stopped": _refused(
        "PostgreSQL hangs", database_faults.postgresql_stopped, "SIGSTOP", MENDED + "; told after `database_answer_s`",
        "callers are told to retry",
    ),
    "postgresql_restarted": _unmoved(
        "PostgreSQL was restarted", database_faults.postgresql_restarted, "SIGKILL and a start", "found again; the features are rebuilt before",
        "the ledger takes records again", "burana_ledger_failures_total",
    ),
    "clock_stepped_back": _unmoved(
        "the clock steps back", faults.clock_stepped_back, "a clock plugged in, an hour back",
        "the order is the sequence; `recorded_at` stays until the clock has passed it", "the clock stepped back",
        "burana_clock_stepped_back_total",
    ),
    "no_time": _verified(
        "the time for an answer runs out", faults.no_time, "a deadline of a microsecond", "deadline", "answered with what is known so far",
        "the time for an answer ran out",
    ),
    "broken_entry": Step(
        "something that nobody expected", faults.broken_entry, "an entry that no release writes", 500, "", (),
        "a reference that the log has too; no decision leaves", "failure ", "burana_failures_total",
    ),
}  # fmt: skip


def table() -> str:
    """The table of ARCHITECTURE.md."""
    head = "| what fails | provoked by | answer | what happens besides | the log says | what rises |"
    return "\n".join([head, "|---" * 6 + "|", *map(_row, STEPS.values())]) + "\n"


def _row(step: Step) -> str:
    answer = {0: "none", 200: step.level}.get(step.status, str(step.status))
    answer += "".join(f", `{each}`" for each in step.degraded)
    metric = f"`{step.metric}`" if step.metric else "-"
    return f"| {step.what} | {step.by} | {answer} | {step.then} | {step.log.strip()} | {metric} |"


def page(before: str) -> str:
    """The page with the table as it should be."""
    head, _, rest = before.partition(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
