"""R74 and R15: what the operator's policy adds: agents, employees, virtual assets."""

from domain.events import EventType, Verdict
from domain.operation import Access, Kind
from tests.stories.telling import AYSULUU, BAKYT, NAN, SOM, ago, cashed, happened, known, paid, people, seen, shows

AGENT, EMPLOYEE = Access(agent_id="agent-7"), Access(employee_id="e-12")


def test_r74_an_agent_through_whom_many_take_cash_is_seen() -> None:
    """Six customers in an hour, one of them found to be a fraud; one more in the morning, who also paid."""
    crowd = [cashed(customer, 2_000, ago(minutes=30), access=AGENT) for customer in people(6)]
    early = [cashed(BAKYT, 2_000, ago(hours=5), access=AGENT), paid(BAKYT, som=500, at=ago(hours=5), access=AGENT)]
    shows(
        seen(cashed(AYSULUU, access=AGENT), *early, *crowd, known(crowd[0], Verdict.FRAUD, ago(minutes=5))),
        agent_sent_count_1h=6,
        agent_sent_count_1d=8,
        agent_sent_customer_distinct_1d=7,
        agent_cashed_amount_sum_1d=14_000 * SOM,
        agent_fraud_known_sent_count_30d=1,
        employee_sent_count_1h=NAN,
    )


def test_r74_an_employee_who_acts_for_many_customers_is_seen() -> None:
    acts = [paid(customer, access=EMPLOYEE, at=ago(minutes=30)) for customer in people(6)]
    changes = [happened(EventType.CONTACT_CHANGED, ago(hours=2), to=customer, access=EMPLOYEE) for customer in people(3)]
    shows(
        seen(paid(access=EMPLOYEE), *acts, *changes),
        employee_sent_count_1h=6,
        employee_sent_count_1d=6,
        employee_sent_customer_distinct_1d=6,
        employee_contact_changed_count_1d=3,
    )


def test_r74_changes_that_customers_make_themselves_are_not_the_employee_s() -> None:
    own = [happened(EventType.CONTACT_CHANGED, ago(hours=2), to=customer) for customer in people(3)]
    shows(seen(paid(access=EMPLOYEE), paid(access=EMPLOYEE, at=ago(days=1)), *own), employee_contact_changed_count_1d=0)


def test_r74_another_agent_and_no_agent_are_not_taken_for_one() -> None:
    others = [cashed(BAKYT, at=ago(minutes=5), access=Access(agent_id="agent-8")), cashed(BAKYT, at=ago(minutes=5))]
    own = cashed(BAKYT, at=ago(days=2), access=AGENT)
    shows(seen(cashed(AYSULUU, access=AGENT), own, *others), agent_sent_count_1h=0, agent_cashed_amount_sum_1d=0)
    shows(seen(cashed(AYSULUU), own, *others), agent_sent_count_1h=NAN)


def test_r74_a_turn_to_virtual_assets_is_seen() -> None:
    before = [paid(at=ago(days=2)), *[paid(kind=Kind.VIRTUAL_ASSET_TRANSFER, at=ago(days=1)) for _ in range(3)]]
    shows(
        seen(paid(kind=Kind.VIRTUAL_ASSET_TRANSFER), *before),
        customer_sent_virtual_asset_share_30d=3 / 4,
        operation_kind=6,
        operation_window_truncated=0,
    )
