"""By what a value is looked for in the registry, told by the field in which it stands, once for all its values.

A value of a kind that names no money is looked for under its kind and itself. Any other from `SHORTEST` letters and digits on is looked for
under these, whatever the kind of the entry, and a number also as the card and the telephone that it may be (R96); a QR payload also
under what it says (R42).
"""

from functools import partial

from casework.registry_keys import CODES, MONEY_KINDS, SHORTEST, Asked, Way, bare, by_hash, by_letters, own
from domain.identifiers import IdentifierKind, Identifiers
from domain.operation import IDENTIFIER_FIELDS, PARTS
from domain.qr_payload import MERCHANT_NAME, TERMINAL, accounts, fields, payload_in

SOURCE_OF_FUNDS = "funding.source"
_as_card, _as_telephone = by_hash("\0", CODES[IdentifierKind.CARD]), by_hash("\0", CODES[IdentifierKind.PHONE])


def ways(identifiers: Identifiers) -> dict[str, Way]:
    """The way of each field, such as `sender.account`."""
    of = _Ways(identifiers)
    kinds = {f"{part}.{name}": kind for part, type_ in PARTS.items() for name, kind in IDENTIFIER_FIELDS[type_].items()}
    return {field: of.kind(kind) for field, kind in kinds.items()} | {SOURCE_OF_FUNDS: of.source(kinds[SOURCE_OF_FUNDS])}


def kinds_met(field: str) -> frozenset[int]:
    """The numbers of the kinds whose entries a value of a field may meet: where none of them is listed, it need not be looked for."""
    part, _, name = field.partition(".")
    kind = IDENTIFIER_FIELDS[PARTS[part]][name]
    met = {kind}
    if kind in MONEY_KINDS or field == SOURCE_OF_FUNDS:
        met |= MONEY_KINDS
    if kind is IdentifierKind.QR:
        met |= {IdentifierKind.SERVICE, IdentifierKind.DEVICE}  # merchant and terminal
    return frozenset(CODES[each] for each in met)


class _Ways:
    """Makes ways."""

    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers

    def kind(self, kind: IdentifierKind) -> Way:
        """Of a field of one kind."""
        if kind not in MONEY_KINDS:
            return own[kind]
        if kind is IdentifierKind.QR:
            return self._code
        return partial(_telephone if kind is IdentifierKind.PHONE else self._money, own[kind])

    def source(self, kind: IdentifierKind) -> Way:
        """Of the field that says in a word where money comes from, which may name money itself."""
        word = own[kind]
        return lambda value: word(value) if len(bare(value)) < SHORTEST else (*word(value), *self._money(word, value))

    def _money(self, own_way: Way, value: str) -> tuple[Asked, ...]:
        letters = bare(value)
        if len(letters) < SHORTEST:
            return own_way(value)
        return self._keys_of_number(letters) if letters.isascii() and letters.isdigit() else by_letters(letters)

    def _keys_of_number(self, digits: str) -> tuple[Asked, ...]:
        asked, (card, telephone) = by_letters(digits), self._identifiers.of_number(digits)
        if card is not None:
            asked += _as_card(bare(card))
        return asked if telephone is None else asked + _as_telephone(bare(telephone))

    def _code(self, value: str) -> tuple[Asked, ...]:
        if len(letters := bare(value)) >= SHORTEST and payload_in(value) is not None:
            return *by_letters(letters), *self._told(value)
        return self._money(own[IdentifierKind.QR], value)

    def _told(self, payload: str) -> tuple[Asked, ...]:
        """What a QR payload says besides itself is looked for by: who is paid, into what, at which terminal (R42)."""
        account = self.kind(IdentifierKind.ACCOUNT)
        asked = [account(value) for value in accounts(payload)]
        told = dict(fields(payload))
        named = ((IdentifierKind.SERVICE, MERCHANT_NAME), (IdentifierKind.DEVICE, TERMINAL))
        forms = ((kind, self._identifiers.form(kind, told.get(path, ""))) for kind, path in named)
        asked += [self.kind(kind)(form) for kind, form in forms if form is not None]
        return tuple(one for of in asked for one in of)


def _telephone(own_way: Way, value: str) -> tuple[Asked, ...]:
    return by_letters(letters) if len(letters := bare(value)) >= SHORTEST else own_way(value)
