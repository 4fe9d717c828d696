"""Templates become rules: each step is said by features that are declared, so a template is as exact, bounded and replayable as a rule.

What no declared feature can say is refused with what can be said. The order of two steps is that of their last times, which the
features have for most of what can happen; a sequence that must be exact from its first step on is declared as a feature
(`features/definitions.py`, `Steps`) and named by `gone`.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec.structs import replace

from domain.errors import RuleError
from domain.rules import Rule
from domain.templates import Now, Number, Step

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_NEW = {"funding": "customer_topped_up_funding_is_new"}


def completed(rules: Iterable[Rule], features: Sequence[str]) -> list[Rule]:
    """Every rule with its expression; RuleError for one that has none, a step that cannot be said, or an expression that says another."""
    return [_completed(rule, frozenset(features)) for rule in rules]


def edited(rules: Iterable[Rule], features: Sequence[str]) -> list[Rule]:
    """As `completed`, of rules that somebody wrote: RuleError for a template beside whose steps an expression stands that says another."""
    whole = []
    for rule in rules:
        (made,) = completed([replace(rule, expression="") if _is_template(rule) else rule], features)
        if rule.expression not in {"", made.expression}:
            raise RuleError(
                f"rule {rule.id}: its expression is not what its steps say; leave it out, it is made of them: {made.expression}"
            )
        whole.append(made)
    return whole


def _is_template(rule: Rule) -> bool:
    return bool(rule.steps) or rule.now is not None


def _completed(rule: Rule, features: frozenset[str]) -> Rule:
    if not _is_template(rule):
        if not rule.expression:
            raise RuleError(f"rule {rule.id}: has neither an expression nor steps")
        return rule
    if rule.expression:  # it was made when the rule was saved: what it meant then it means for ever
        return rule
    try:
        return replace(rule, expression=_expression(rule.steps, rule.now, features))
    except RuleError as error:
        raise RuleError(f"rule {rule.id}: {error}") from None


def _expression(steps: Sequence[Step], now: Now | None, features: frozenset[str]) -> str:
    parts = [_step(place, step, features) for place, step in enumerate(steps, 1)]
    parts += [_order(earlier, later, features) for earlier, later in pairwise(step for step in steps if not step.any_order)]
    return " && ".join([*parts, *(_now(now, features) if now else ())])


def _step(place: int, step: Step, features: frozenset[str]) -> str:
    whose = f"{step.who}_{step.did}"
    if step.gone is not None:
        return f"{_known(f'{whose}_steps_{step.within}', place, step, features)} >= {step.gone}.0"
    if step.tyiyn is not None:
        return f"{_known(f'{whose}_amount_sum_{step.within}', place, step, features)} >= {_double(step.tyiyn)}"
    if step.different is not None:
        return (
            f"{_known(f'{whose}_{step.different}_distinct_{step.within}', place, step, features)} >= {_double(step.times)}"
        )
    if step.times == 1 and (last := f"{whose}_seconds_since_last") in features:
        return f"{last} < {_seconds(step.within)}.0"
    return f"{_known(f'{whose}_count_{step.within}', place, step, features)} >= {_double(step.times)}"


def _order(earlier: Step, later: Step, features: frozenset[str]) -> str:
    """The last time of the one is not after the last time of the other."""
    names = [f"{step.who}_{step.did}_seconds_since_last" for step in (earlier, later)]
    if missing := [name for name in names if name not in features]:
        raise RuleError(
            f"the order of {earlier.did} and {later.did} cannot be said: there is no feature {', '.join(missing)}; say any_order = true of "
            f"that step, or take one of {', '.join(sorted(n for n in features if n.endswith('_seconds_since_last')))}"
        )
    return f"{names[0]} >= {names[1]}"


def _now(now: Now, features: frozenset[str]) -> Iterable[str]:
    if now.from_tyiyn is not None:
        yield f"amount_tyiyn >= {now.from_tyiyn}"
    yield from (_new(what, features) for what in now.new)
    if now.again_within is not None:
        yield f"customer_sent_recipient_seconds_since_same < {_seconds(now.again_within)}.0"
    if now.times_usual is not None:
        yield f"customer_sent_amount_over_mean_30d >= {_double(now.times_usual)}"
    if now.percent_of_received is not None:
        yield from _passes_on(now.percent_of_received, now.received_within, features)
    if now.vpn:
        yield "vpn"
    if now.foreign:
        yield "operation_foreign == 1.0"
    if now.other_institution:
        yield "operation_other_institution == 1.0"


def _passes_on(percent: Number, within: str, features: frozenset[str]) -> Iterable[str]:
    received = f"sender_received_amount_sum_{within}"
    if received not in features:
        raise RuleError(f"received_within: seen {within}, allowed {_windows('sender_received_amount_sum_', features)}")
    yield f"{received} > 0.0"
    yield f"100.0 * double(amount_tyiyn) >= {_double(percent)} * {received}"


def _new(what: str, features: frozenset[str]) -> str:
    name = _NEW.get(what, f"customer_sent_{what}_is_new")
    if name not in features:
        allowed = sorted(found[1] for feature in features if (found := re.fullmatch(r"customer_sent_(.*)_is_new", feature)))
        raise RuleError(f"new: seen {what}, allowed {', '.join([*allowed, *_NEW])}")
    # the recipient is always known, so for a customer without history it is new; of the others missing may mean not given
    return f"{name} != 0.0" if what == "recipient" else f"{name} == 1.0"


def _known(name: str, place: int, step: Step, features: frozenset[str]) -> str:
    """The feature that says a step; RuleError with what can be said of the same."""
    if name in features:
        return name
    stem = name.removesuffix(step.within)
    if windows := _windows(stem, features):
        raise RuleError(f"step {place}: {stem[:-1]} is known within {windows}; seen {step.within}")
    near = sorted(feature for feature in features if feature.startswith(f"{step.who}_{step.did}_"))
    raise RuleError(
        f"step {place}: no feature says {name}; what is known of {step.who} {step.did}: {', '.join(near) or 'nothing'} (`burana rules vocabulary`)"
    )


def _windows(stem: str, features: frozenset[str]) -> str:
    found = [name.removeprefix(stem) for name in features if re.fullmatch(rf"{re.escape(stem)}\d+[mhd]", name)]
    return ", ".join(sorted(found, key=_seconds))


def _seconds(window: str) -> int:
    return int(window[:-1]) * _SECONDS[window[-1]]


def _double(number: Number) -> str:
    return f"{number}.0" if isinstance(number, int) else f"double({number})"
