"""The registry: normal forms, reasons for every change, nothing forgotten."""

from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest

from casework import database as databases
from casework import registry_entries
from casework.database import Database
from casework.registry import Registry
from domain.errors import ConflictError, IdentifierError, LedgerError, SettingsError, UnknownEntryError
from domain.identifiers import IdentifierKind, Identifiers
from domain.instants import from_ms
from domain.listing import List
from domain.operation import Operation, normal_operation
from tests import registry
from tests.databases import audit, everything, execute, rows
from tests.domain.test_qr_payload import emvco, national

IDENTIFIERS = Identifiers(b"a key of the tests, 16 bytes or more")
NOW = from_ms(4_000_000_000_000)
CARD = "4111 1111 1111 1111"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with databases.connect(url) as opened:
        yield opened


def add(database, kind, value, name=List.PROHIBITED, person="Aigul", reason="confirmed fraud") -> int:
    return registry.add(database, IDENTIFIERS, kind, value, name, person, reason)


def operation(**parts: object) -> Operation:
    """A canonical operation between two customers, with parts exchanged."""
    record = {
        "operation_id": "op-1", "occurred_at": "2025-06-02T04:00:00Z", "kind": "domestic_transfer",
        "amount": {"minor": 1, "currency": "KGS"}, "sender": {"customer_id": "a"}, "recipient": {"customer_id": "b"}, **parts,
    }  # fmt: skip
    return normal_operation(msgspec.convert(record, Operation, strict=False), IDENTIFIERS, NOW)


WAYS = [
    # the entry as it was listed, and the operation that must meet it
    (IdentifierKind.PHONE, "0555 123 456", {"recipient": {"phone": "+996 (555) 12-34-56"}}, "recipient.phone"),
    (IdentifierKind.PHONE, "+996555123456", {"sender": {"phone": "00996555123456"}}, "sender.phone"),
    (IdentifierKind.CARD, CARD, {"recipient": {"card": "4111-1111-1111-1111"}}, "recipient.card"),
    (IdentifierKind.ACCOUNT, "KG-12", {"sender": {"account": "kg\u200b-12"}}, "sender.account"),
    (IdentifierKind.WALLET, "w1", {"recipient": {"wallet": "\uff37\uff11"}}, "recipient.wallet"),
    (IdentifierKind.CUSTOMER, "c-1", {"sender": {"customer_id": " C-1\x00"}}, "sender.customer_id"),
    (IdentifierKind.SERVICE, "Лото  Шанс", {"recipient": {"service": "лото шанс"}}, "recipient.service"),
    (IdentifierKind.INSTITUTION, "bank-9", {"recipient": {"phone": "0555123456", "institution": "BANK-9"}}, "recipient.institution"),
    (IdentifierKind.COUNTRY, "ir", {"recipient": {"account": "1", "country": "IR"}}, "recipient.country"),
    (IdentifierKind.COUNTRY, "IR", {"device": {"country": "ir"}}, "device.country"),
    (IdentifierKind.QR, "qr-7", {"recipient": {"qr_id": "QR-7"}}, "recipient.qr_id"),
    (IdentifierKind.VIRTUAL_ASSET_ADDRESS, "0xAB" + "0" * 38,
     {"recipient": {"virtual_asset_address": "0xab" + "0" * 38}}, "recipient.virtual_asset_address"),
    (IdentifierKind.DEVICE, "D-1", {"device": {"id": "d-1"}}, "device.id"),
    (IdentifierKind.IP, "192.0.2.1", {"device": {"ip": "::ffff:192.0.2.1"}}, "device.ip"),
    (IdentifierKind.SESSION, "s1", {"access": {"session_id": "S1"}}, "access.session_id"),
    (IdentifierKind.AGENT, "ag-1", {"access": {"agent_id": "AG-1"}}, "access.agent_id"),
    (IdentifierKind.EMPLOYEE, "e-1", {"access": {"employee_id": "E-1"}}, "access.employee_id"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "listed", "parts", "field"), WAYS, ids=[f"{way[0]} as {way[3]}" for way in WAYS])
def test_r96_an_entry_is_met_in_every_part_whatever_its_disguise(database, kind, listed, parts, field):
    entry = add(database, kind, listed)
    (hit,) = Registry(database, IDENTIFIERS).hits(operation(**parts))
    assert (hit.field, hit.kind, hit.list, hit.entry_id) == (field, kind, List.PROHIBITED, entry)


def test_every_kind_of_identifier_can_be_met():
    assert {way[0] for way in WAYS} == set(IdentifierKind)


ELSEWHERE = [
    # listed as one kind, given in the field of another
    (IdentifierKind.CARD, CARD, {"recipient": {"account": "4111111111111111"}}, "recipient.account"),
    (IdentifierKind.CARD, CARD, {"funding": {"instrument": "card", "source": "4111 1111 1111 1111"}}, "funding.source"),
    (IdentifierKind.PHONE, "0555 123 456", {"recipient": {"wallet": "996555123456"}}, "recipient.wallet"),
    (IdentifierKind.PHONE, "0555 123 456", {"recipient": {"account": "0555123456"}}, "recipient.account"),
    (IdentifierKind.ACCOUNT, "1240020000012345", {"recipient": {"qr_id": "1240020000012345"}}, "recipient.qr_id"),
    (IdentifierKind.ACCOUNT, "1240020000012345", {"recipient": {"account": "1240-0200-0001-2345"}}, "recipient.account"),
    (IdentifierKind.ACCOUNT, "1240020000012345", {"funding": {"source": "1240020000012345"}}, "funding.source"),
]


@pytest.mark.parametrize(("kind", "listed", "parts", "field"), ELSEWHERE, ids=[f"{way[0]} as {way[3]}" for way in ELSEWHERE])
def test_r96_an_entry_is_met_also_in_the_field_of_another_kind(database, kind, listed, parts, field):
    entry = add(database, kind, listed)
    (hit,) = Registry(database, IDENTIFIERS).hits(operation(**parts))
    assert (hit.field, hit.list, hit.entry_id) == (field, List.PROHIBITED, entry)


def test_a_short_code_of_another_kind_is_not_met(database):
    add(database, IdentifierKind.ACCOUNT, "555")
    assert Registry(database, IDENTIFIERS).hits(operation(recipient={"wallet": "555"})) == ()


def test_an_identifier_on_both_lists_is_met_twice(database):
    add(database, IdentifierKind.ACCOUNT, "1")
    add(database, IdentifierKind.ACCOUNT, "1", List.WATCHED)
    hits = Registry(database, IDENTIFIERS).hits(operation(sender={"account": "1"}, recipient={"account": "1"}))
    assert [(hit.field, hit.list) for hit in hits] == [
        (f"{side}.account", name) for side in ("sender", "recipient") for name in (List.PROHIBITED, List.WATCHED)
    ]


def test_the_same_identifier_is_listed_once_in_whatever_form(database):
    first = add(database, IdentifierKind.PHONE, "0555123456")
    with pytest.raises(ConflictError, match=f"entry {first}"):
        add(database, IdentifierKind.PHONE, "+996 555 123456")
    assert len(registry_entries.listed(database)) == 1
    assert len(audit(database)) == 1, "what was refused changed nothing"


def test_what_has_no_normal_form_is_refused(database):
    with pytest.raises(IdentifierError, match="phone"):
        add(database, IdentifierKind.PHONE, "call me")
    assert registry_entries.listed(database) == audit(database) == []


@pytest.mark.parametrize(("person", "reason"), [("", "fraud"), ("  ", "fraud"), ("Aigul", ""), ("Aigul", "\n")])
def test_r108_no_change_without_a_person_and_a_reason(database, person, reason):
    with pytest.raises(SettingsError, match="person and a reason"):
        add(database, IdentifierKind.ACCOUNT, "1", person=person, reason=reason)
    entry = add(database, IdentifierKind.ACCOUNT, "1")
    with pytest.raises(SettingsError, match="person and a reason"):
        registry.remove(database, entry, person, reason)
    assert len(registry_entries.listed(database)) == 1
    assert len(audit(database)) == 1


def test_r99_a_removed_entry_is_no_longer_met_and_stays_with_its_reasons(database):
    entry = add(database, IdentifierKind.ACCOUNT, "1")
    live = Registry(database, IDENTIFIERS)
    registry.remove(database, entry, "Bakyt", "listed by mistake")
    assert live.refresh()
    assert live.hits(operation(sender={"account": "1"})) == ()
    assert registry_entries.listed(database) == []
    query = "SELECT added_by, added_reason, removed_by, removed_reason FROM registry"
    assert rows(database, query) == [("Aigul", "confirmed fraud", "Bakyt", "listed by mistake")]


def test_an_entry_that_was_removed_can_be_listed_again(database):
    first = add(database, IdentifierKind.ACCOUNT, "1")
    registry.remove(database, first, "Bakyt", "by mistake")
    second = add(database, IdentifierKind.ACCOUNT, "1")
    (hit,) = Registry(database, IDENTIFIERS).hits(operation(sender={"account": "1"}))
    assert hit.entry_id == second != first


@pytest.mark.parametrize("entry", [0, 99, -1])
def test_an_entry_that_is_not_live_cannot_be_removed(database, entry):
    with pytest.raises(UnknownEntryError, match="no registry entry"):
        registry.remove(database, entry, "Bakyt", "by mistake")
    assert audit(database) == []


def test_an_entry_is_removed_once(database):
    entry = add(database, IdentifierKind.ACCOUNT, "1")
    registry.remove(database, entry, "Bakyt", "by mistake")
    with pytest.raises(ConflictError, match="was removed by Bakyt"):
        registry.remove(database, entry, "Bakyt", "again")


def test_r109_every_change_leaves_one_line_in_the_audit_log(database):
    entry = add(database, IdentifierKind.PHONE, "0555123456")
    registry.remove(database, entry, "Bakyt", "by mistake")
    assert audit(database) == [
        ("Aigul", "confirmed fraud", "registry: add phone ****3456 to prohibited"),
        ("Bakyt", "by mistake", "proposals: propose registry_removal"),
        ("a second person", "looked at it", "proposals: approved registry_removal 1"),
        ("Bakyt", "by mistake", f"registry: remove entry {entry}, error_found"),
    ]


def test_a_card_number_is_never_stored(database):
    add(database, IdentifierKind.CARD, CARD)
    assert CARD.replace(" ", "") not in everything(database)
    assert registry_entries.listed(database)[0]["value"].startswith("card-")


def test_a_change_of_another_process_is_seen_at_the_next_refresh_and_only_then_read_again(database, url):
    live = Registry(database, IDENTIFIERS)
    assert not live.refresh()
    with databases.connect(url) as other:
        entry = add(other, IdentifierKind.ACCOUNT, "1")
        assert live.refresh()
        assert not live.refresh()
        assert len(live) == 1
        registry.remove(other, entry, "Bakyt", "by mistake")
        assert live.refresh()
        assert len(live) == 0


def test_a_list_that_does_not_exist_is_refused_by_the_database(database):
    with pytest.raises(LedgerError, match="registry_list"):
        execute(
            database,
            "INSERT INTO registry (kind, value, list, ground, source, look_up, added_at, added_by, added_reason, added_change)"
            " VALUES ('phone','1','x','','','','','','',1)",
        )


def test_the_registry_of_any_past_change_can_be_asked(database):
    paid = {number: operation(recipient={"phone": f"+99655500000{number}"}) for number in (1, 2)}
    first = add(database, IdentifierKind.PHONE, "+996555000001")
    _, then = Registry(database, IDENTIFIERS).ask(paid[1], NOW)
    second = add(database, IdentifierKind.PHONE, "+996555000002")
    registry.remove(database, first, "an officer", "listed in error")
    past, now = Registry(database, IDENTIFIERS, as_of=then), Registry(database, IDENTIFIERS)
    assert [[hit.entry_id for hit in past.hits(paid[number])] for number in (1, 2)] == [[first], []]
    assert [[hit.entry_id for hit in now.hits(paid[number])] for number in (1, 2)] == [[], [second]]
    with pytest.raises(SettingsError, match="its last change was"):
        Registry(database, IDENTIFIERS, as_of=1_000_000)


QR = [
    # listed, and the payload that says it
    (IdentifierKind.PHONE, "0555 123 456", national("996555123456")),
    (IdentifierKind.ACCOUNT, "1240020000012345", emvco("1240020000012345")),
    (IdentifierKind.ACCOUNT, "bill-0000077", emvco(bill="bill-0000077")),
    (IdentifierKind.CARD, CARD, emvco("4111111111111111")),
    (IdentifierKind.SERVICE, "Shop", emvco()),
    (IdentifierKind.DEVICE, "TERM-1", emvco()),
    (IdentifierKind.QR, "https://bank.kg/qr/#" + emvco(), emvco()),
]


@pytest.mark.parametrize(("kind", "listed", "payload"), QR, ids=[way[0] for way in QR])
def test_r42_what_a_qr_payload_says_is_met(database, kind, listed, payload):
    entry = add(database, kind, listed)
    live = Registry(database, IDENTIFIERS)
    for given in (payload, "https://app.bank.kg/qr/#" + quote(payload)):
        (hit,) = live.hits(operation(recipient={"qr_id": given}))
        assert (hit.field, hit.kind, hit.entry_id) == ("recipient.qr_id", IdentifierKind.QR, entry)
    assert live.hits(operation(recipient={"qr_id": national("996700000000")})) == ()
