"""A disguised identifier meets its registry entry or is refused; it never passes as another one (R41-R44, R96)."""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.errors import IdentifierError
from domain.identifiers import COUNTRIES, MAX_LENGTH, IdentifierKind, Identifiers, masked

IDENTIFIERS = Identifiers(b"a key of tests only, 32 bytes ok")
OTHER_KEY = Identifiers(b"another key of the tests, 32 byt")
CODES = (
    IdentifierKind.CUSTOMER, IdentifierKind.ACCOUNT, IdentifierKind.WALLET, IdentifierKind.INSTITUTION, IdentifierKind.QR,
    IdentifierKind.DEVICE, IdentifierKind.SESSION, IdentifierKind.AGENT, IdentifierKind.EMPLOYEE,
)  # fmt: skip
REFUSED = None

# nothing to be seen: zero-width, soft hyphen, marks of direction, tags, an unpaired surrogate
INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u2066", "\x00", "\U000e0041", "\ud800")
# as little to be seen, but of a category that letters have: combining joiner, variation selectors, fillers, empty Braille
SNEAKY = ("\u034f", "\ufe0f", "\U000e0100", "\u180b", "\u115f", "\u3164", "\uffa0", "\u2800", "\u17b4")
BLANKS = (" ", "\u00a0", "\u2007", "\u202f", "\u3000", "\t", "\n", "\u2028")
DASHES = ("-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2015", "\uff0d", "\ufe63", "\u2212")
ZEROS = "0\uff10\u0660\u06f0\u0966\U0001d7ce\U0001d7d8"
"""Zeros of several scripts: ASCII, full-width, Arabic-Indic, Persian, Devanagari, mathematical."""
CYRILLIC = str.maketrans("abcehkmoptxyijs", "авсенкмортхуіјѕ")
LATIN = str.maketrans("авсенкмортхуіјѕ", "abcehkmoptxyijs")
PHONETIC = str.maketrans("acegilorvwz", "ɑᴄeɡıʟᴏɾᴠᴡᴢ")
GREEK = str.maketrans("aeiknoptuvx", "αεικηορτυνχ")
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}

any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from(INVISIBLE + SNEAKY + BLANKS + DASHES + tuple("0Oo1lI+()«»'\"._:/%\u0307\u0345\u1e9eßıİǅΐﷺﬆ")),
        st.characters(min_codepoint=0x20, max_codepoint=0x7E),
    ),
    max_size=140,
)
digits = st.text("0123456789", min_size=9, max_size=9).filter(lambda text: text[0] != "0")


def normal(kind: IdentifierKind, value: object, identifiers: Identifiers = IDENTIFIERS) -> str | None:
    """The normal form, or REFUSED."""
    try:
        return identifiers.normal(kind, value)
    except IdentifierError:
        return REFUSED


def with_check_digit(number: str) -> str:
    """The number and its Luhn digit, by the textbook: double every second digit from the right."""
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(number))]
    return number + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


@st.composite
def sprinkled(draw: st.DrawFn, text: str, *between: str) -> str:
    """The text with some of `between` put in anywhere."""
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(between)) + text[place:]
    return text


@st.composite
def in_other_digits(draw: st.DrawFn, text: str) -> str:
    zero = ord(draw(st.sampled_from(ZEROS)))
    return text.translate({ord("0") + i: zero + i for i in range(10)})


# ---- every kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", IdentifierKind)
@settings(max_examples=60)
@given(text=any_text)
@example(text="")
@example(text="\ud800")
@example(text="ﷺ" * MAX_LENGTH)
@example(text="i\u200d\u0307")
@example(text="ŉ")
@example(text="ẖǰẗẘẙ")
@example(text="ὒΐ\u0345")
@example(text="card-" + "A" * 32)
@example(text="x" * 1_000_000)
@example(text="%" * 20 + ":" * 20)
def test_any_text_has_one_normal_form_that_stays_or_is_refused_by_name(kind: IdentifierKind, text: str) -> None:
    try:
        form = IDENTIFIERS.normal(kind, text, "sender.it")
    except IdentifierError as error:
        assert error.field == "sender.it" and error.allowed and str(error).isascii() and len(str(error)) < 400
    else:
        assert 0 < len(form) <= MAX_LENGTH and form.isprintable()
        assert IDENTIFIERS.normal(kind, form) == form


@pytest.mark.parametrize("kind", IdentifierKind)
@pytest.mark.parametrize("value", [None, 0, 996700123456, 1.5, True, b"+996700123456", ["a"], {"a": 1}, object], ids=repr)
def test_what_is_not_text_is_refused(kind: IdentifierKind, value: object) -> None:
    with pytest.raises(IdentifierError, match="allowed: a string"):
        IDENTIFIERS.normal(kind, value)


def test_a_short_card_key_is_refused_without_showing_it() -> None:
    with pytest.raises(IdentifierError, match="at least 16 bytes") as caught:
        Identifiers(b"fifteen bytes!!")
    assert "fifteen" not in str(caught.value)


# ---- phones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "+996700123456", "996700123456", "00996700123456", "0996700123456", "0700123456", "700123456",
        "+996 700 123 456", "+996-700-12-34-56", "+996 (700) 12.34.56", "+996 (0) 700 123456", "+9960700123456",
        "00996 0700 123456", "9960700123456", "09960700123456", "0996 0700 12 34 56",
        "＋９９６７００１２３４５６", "+٩٩٦٧٠٠١٢٣٤٥٦", "٠٧٠٠١٢٣٤٥٦", "+𝟗𝟗𝟔𝟕𝟎𝟎𝟏𝟐𝟑𝟒𝟓𝟔", "+⑨⑨⑥⑦⓪⓪①②③④⑤⑥",
        "﹢996700123456", "⁺996700123456", "+996\u200b700\u00ad123\u2060456", "\ufeff+996700123456", "\u202e0700123456",
        "+996\u2011700\u2013123\u2212456", "+996\u00a0700\u202f123\u3000456", "+996\n700\t123456", "+99670012345６",
    ],
)  # fmt: skip
def test_r41_a_disguised_phone_meets_its_one_normal_form(written: str) -> None:
    assert IDENTIFIERS.normal(IdentifierKind.PHONE, written) == "+996700123456"


@pytest.mark.parametrize(
    "written",
    [
        "➕996700123456", "++996700123456", "+00996700123456", "+0700123456", "996+700123456", "+996700123456 ext 1",
        "+99670012345O", "+996700l23456", "+996/700/123456", "+9967001234567", "+99670012345", "7001234567", "70012345",
        "79161234567", "000996700123456", "8109967001234567", "9️⃣96700123456", "+\u0489996700123456", "+", "0", "tel:0700123456",
        "+44 (0) 20 7946 0958", "0044 （0） 20 7946 0958", "+1234567", "+1234567890123456",
    ],
)  # fmt: skip
def test_r41_what_is_no_phone_number_is_refused(written: str) -> None:
    assert normal(IdentifierKind.PHONE, written) is REFUSED


@pytest.mark.parametrize("written", ["+79161234567", "0079161234567", "+7 (916) 123-45-67", "＋7 916 123 45 67"])
def test_a_phone_of_another_country_keeps_its_country(written: str) -> None:
    assert IDENTIFIERS.normal(IdentifierKind.PHONE, written) == "+79161234567"


def test_an_operator_elsewhere_reads_numbers_by_its_own_plan() -> None:
    russian = Identifiers(bytes(16), calling_code="7", trunk_prefix="8", national_length=10)
    italian = Identifiers(bytes(16), calling_code="39", trunk_prefix="", national_length=10)
    for written in ("+79161234567", "89161234567", "9161234567", "79161234567", "8 7 916 123 45 67", "0079161234567"):
        assert russian.normal(IdentifierKind.PHONE, written) == "+79161234567"
    assert russian.normal(IdentifierKind.PHONE, "8 800 555 35 35") == "+78005553535"
    for written in ("0612345678", "390612345678", "+39 06 1234 5678"):
        assert italian.normal(IdentifierKind.PHONE, written) == "+390612345678"


@st.composite
def disguised_phones(draw: st.DrawFn, *between: str) -> tuple[str, str]:
    """A phone in normal form and the same phone disguised; `between` is put in anywhere behind the plus."""
    national = draw(digits)
    prefix = draw(st.sampled_from(("+996", "996", "00996", "0996", "0", "", "+9960", "9960", "009960", "+996(0)")))
    body = draw(in_other_digits(prefix.removeprefix("+") + national))
    body = draw(sprinkled(body, *between))
    plus = draw(st.sampled_from("+＋﹢⁺₊")) if prefix.startswith("+") else ""
    return "+996" + national, plus + body


@settings(max_examples=150)
@given(pair=disguised_phones(*INVISIBLE, *BLANKS, *DASHES, ".", "(", ")"))
def test_r96_every_disguise_of_a_phone_by_prefix_digits_blanks_and_dashes_is_caught(pair: tuple[str, str]) -> None:
    canonical, disguised = pair
    assert IDENTIFIERS.normal(IdentifierKind.PHONE, disguised) == canonical


@settings(max_examples=150)
@given(pair=disguised_phones(*SNEAKY, "+", "➕", "/", ",", "x", "O", "\u20e3", "\U0001f51f"))
def test_r96_every_other_disguise_of_a_phone_is_caught_or_refused(pair: tuple[str, str]) -> None:
    canonical, disguised = pair
    assert normal(IdentifierKind.PHONE, disguised) in (canonical, REFUSED)


# ---- codes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize(
    "written", ["QR-00AX.7", "ｑｒ-００ax.7", " qr-00 ax.7 ", "Q\u200bR-00\u00adAX.7", "𝐐𝐑-𝟎𝟎𝐀𝐗․𝟕", "qr-00ax.7"]
)
def test_r42_a_disguised_code_meets_its_one_normal_form(kind: IdentifierKind, written: str) -> None:
    assert IDENTIFIERS.normal(kind, written) == "qr-00ax.7"


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("letter", "аеорсхАВЕКМНОРСТУХіј")
def test_r42_a_code_with_a_cyrillic_letter_that_looks_latin_is_refused(kind: IdentifierKind, letter: str) -> None:
    assert normal(kind, f"qr-{letter}1") is REFUSED


@settings(max_examples=150)
@given(data=st.data(), code=st.from_regex(r"[a-z0-9][a-z0-9._:/@+#=*-]{0,30}", fullmatch=True))
def test_r96_every_disguise_of_a_code_is_caught_or_refused(data: st.DataObject, code: str) -> None:
    disguised = list(code)
    for i in data.draw(st.sets(st.integers(0, len(code) - 1))):
        table = data.draw(st.sampled_from((CYRILLIC, PHONETIC, GREEK, FULL_WIDTH, None)))
        disguised[i] = code[i].upper() if table is None else code[i].translate(table)
    text = data.draw(sprinkled("".join(disguised), *INVISIBLE, *SNEAKY, *BLANKS))
    assert normal(IdentifierKind.ACCOUNT, text) in (code, REFUSED)


# ---- cards -----------------------------------------------------------------------------------------------------------

cards = st.from_regex(r"[1-9][0-9]{10,17}", fullmatch=True).map(with_check_digit)


@settings(max_examples=100)
@given(data=st.data(), number=cards)
def test_every_disguise_of_a_card_is_caught_or_refused_and_its_number_is_never_shown(
    data: st.DataObject, number: str
) -> None:
    token = IDENTIFIERS.normal(IdentifierKind.CARD, number)
    assert IDENTIFIERS.normal(IdentifierKind.CARD, token.upper()) == token
    assert token.startswith("card-") and number not in token
    between = INVISIBLE + SNEAKY + BLANKS + DASHES + ("x", "*", "+")
    text = data.draw(sprinkled(data.draw(in_other_digits(number)), *between))
    try:
        assert IDENTIFIERS.normal(IdentifierKind.CARD, text) == token
    except IdentifierError as error:
        assert number not in "".join(c for c in str(error) if c.isdigit())


@pytest.mark.parametrize("disguise", [str.strip, int, lambda n: n + " " * 128, lambda n: n + "x", lambda n: [n], str.encode])
def test_a_refused_card_number_is_not_in_the_message(disguise: Callable[[str], object]) -> None:
    with pytest.raises(IdentifierError) as caught:
        IDENTIFIERS.normal(IdentifierKind.CARD, disguise("4111111111111112"))
    shown = (
        str(caught.value),
        repr(caught.value),
        caught.value.seen,
        repr(caught.value.__cause__),
        repr(caught.value.__context__),
    )
    assert not any("41111111" in text for text in shown)


def test_another_key_gives_another_token() -> None:
    number = "4111111111111111"
    assert IDENTIFIERS.normal(IdentifierKind.CARD, number) != OTHER_KEY.normal(IdentifierKind.CARD, number)
    assert normal(IdentifierKind.CARD, "4111 1111-1111\u20111111") == normal(IdentifierKind.CARD, number)


@settings(max_examples=60)
@given(number=cards, place=st.integers(0, 11), other=st.integers(1, 9))
def test_a_card_number_with_one_wrong_digit_is_refused(number: str, place: int, other: int) -> None:
    wrong = number[:place] + str((int(number[place]) + other) % 10) + number[place + 1 :]
    assert normal(IdentifierKind.CARD, wrong) is REFUSED


@pytest.mark.parametrize(
    "number", ["0004111111111111111", "41111111111", "0" * 16, "card-41", "card-" + "g" * 32, "41111111111111111111"]
)
def test_what_is_no_card_number_is_refused(number: str) -> None:
    assert normal(IdentifierKind.CARD, number) is REFUSED


# ---- service names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("  Мега   Касса ", "мега kacca"), ("МЕГА\u00a0КАССА", "мега kacca"), ("ОсОО «Ромашка»", "ocoo ромашка"),
        ('Осоо "Ромашка"', "ocoo ромашка"), ("СОСА", "coca"), ("ＣＯＣＡ", "coca"), ("𝓒𝓸𝓬𝓪", "coca"), ("co\u200bca", "coca"),
        ("Coca\u2013Cola", "coca-cola"), ("L’Oréal", "loréal"), ("İş Bankası", "iş bankasi"), ("Straße", "strasse"), ("co\x1fca", "coca"),
        ("Мёд", "мёд"), ("Ме\u0308д", "мёд"), ("Мед", "мед"), ("түлөө", "түлөө"), ("微信支付", "微信支付"),
        ("Сервис 24", "сервис 24"), ("сервис ٢٤", "сервис 24"), ("burana android", "burana android"),
    ],
)  # fmt: skip
def test_r43_a_service_name_has_one_normal_form(written: str, form: str) -> None:
    assert IDENTIFIERS.normal(IdentifierKind.SERVICE, written) == form


@pytest.mark.parametrize(
    "written",
    [
        "сосa cola", "МEГА", "kаssa", "ᴄoca", "ɡoogle", "gοοgle", "κοκα", "аррӏе", "coca\u2800", "co\u034fca", "visa\ufe0f", "coca\u3164",
        "vi\u0307\u0323sa", "c\u0336oca", "Ꮯoca", "ꓚꓳꓚꓮ", "co\u200aca", "co\u202fca", "« »", "\u200b", "\u2028", "★coca", "٭", "x\u0301" * 64, "а\u0488",
    ],
)  # fmt: skip
def test_r43_a_name_of_mixed_scripts_or_of_signs_that_cannot_be_told_apart_is_refused(written: str) -> None:
    assert normal(IdentifierKind.SERVICE, written) is REFUSED


names = st.lists(
    st.one_of(
        st.text("abcdefghijklmnopqrstuvwxyz0123456789-.+", min_size=1),
        st.text("абвгдежзийклмнопрстуфхцчшщыьэюяңөү", min_size=1),
    ),
    min_size=1,
    max_size=4,
).map(" ".join)


@settings(max_examples=250)
@given(data=st.data(), name=names.filter(lambda text: len(text) < 60))
def test_r96_every_disguise_of_a_name_is_caught_or_refused(data: st.DataObject, name: str) -> None:
    canonical = IDENTIFIERS.normal(IdentifierKind.SERVICE, name)
    whole = data.draw(st.sampled_from((CYRILLIC, LATIN, FULL_WIDTH, {})))
    disguised = list(name.translate(whole))
    for i in data.draw(st.sets(st.integers(0, len(name) - 1), max_size=5)):
        table = data.draw(st.sampled_from((CYRILLIC, LATIN, PHONETIC, GREEK, FULL_WIDTH, None)))
        disguised[i] = name[i].upper() if table is None else name[i].translate(table)
    if "-" in name:
        disguised = [data.draw(st.sampled_from(DASHES)) if c == "-" else c for c in disguised]
    text = data.draw(sprinkled("".join(disguised), *INVISIBLE, *SNEAKY, "«", "»", '"', "’", "\u2018", "'"))
    text = text.replace(" ", data.draw(st.sampled_from((" ", "  ", " \u00a0", "\u3000"))))
    assert normal(IdentifierKind.SERVICE, text) in (canonical, REFUSED)


# ---- countries, addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["KG", "kg", " K g ", "ＫＧ", "K\u200bG", "𝐤𝐠"])
def test_a_country_has_one_normal_form(written: str) -> None:
    assert IDENTIFIERS.normal(IdentifierKind.COUNTRY, written) == "KG"


@pytest.mark.parametrize("written", ["КG", "KGZ", "XX", "UK", "ß", "ıN", "K", "K-G", "996"])
def test_what_is_no_country_code_is_refused(written: str) -> None:
    assert normal(IdentifierKind.COUNTRY, written) is REFUSED


def test_the_countries_are_those_of_iso_3166() -> None:
    assert len(COUNTRIES) == 249 and all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)


@settings(max_examples=60)
@given(address=st.ip_addresses(v=4), data=st.data())
def test_an_ipv4_address_is_the_same_inside_ipv6_and_in_other_digits(
    address: ipaddress.IPv4Address, data: st.DataObject
) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    full_width = str(address).translate(FULL_WIDTH)
    for written in (
        str(address),
        f"::FFFF:{address}",
        mapped.exploded,
        mapped.compressed.upper(),
        full_width,
        f" {address}\u200b",
    ):
        assert IDENTIFIERS.normal(IdentifierKind.IP, written) == str(address)
    other = data.draw(sprinkled(data.draw(in_other_digits(str(address))), *INVISIBLE, *SNEAKY, *BLANKS))
    assert normal(IdentifierKind.IP, other) in (str(address), REFUSED)


@settings(max_examples=60)
@given(address=st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None))
def test_an_ipv6_address_is_written_in_one_way(address: ipaddress.IPv6Address) -> None:
    for written in (address.exploded, address.exploded.upper(), address.compressed):
        assert IDENTIFIERS.normal(IdentifierKind.IP, written) == address.compressed


@pytest.mark.parametrize(
    "written", ["010.0.0.1", "10.0.0.1%eth0", "fe80::1%eth0", "10.0.0.1/8", "10.0.0.1:80", "[::1]", "1", "0x7f.1", "١.٢.٣.٤"]
)
def test_what_is_no_address_is_refused(written: str) -> None:
    assert normal(IdentifierKind.IP, written) is REFUSED


HEXADECIMAL = "0x52908400098527886e0f7030069857d2e4169ee7"
SEGWIT = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"
STELLAR = "gaaz i4tcr3ty5ojhctjc2a4qsy6cjwjh5iajtgkin2er7lbnvkoccwn".replace(" ", "")


@pytest.mark.parametrize("form", [HEXADECIMAL, SEGWIT, STELLAR])
def test_an_asset_address_that_ignores_case_is_written_small(form: str) -> None:
    for written in (
        form,
        form.upper(),
        " ".join(form),
        form.translate(FULL_WIDTH),
        "\u200b" + form,
        form[:9] + "\u00ad" + form[9:],
    ):
        assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, written) == form


def test_a_hexadecimal_address_is_the_same_without_its_prefix_and_with_the_case_of_a_checksum() -> None:
    for written in (HEXADECIMAL[2:], "0X" + HEXADECIMAL[2:].upper(), "0x52908400098527886E0F7030069857D2E4169EE7"):
        assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, written) == HEXADECIMAL


@pytest.mark.parametrize("address", ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"])
def test_a_base58_address_keeps_its_case(address: str) -> None:
    assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, address) == address
    assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, address.swapcase()) != address


@pytest.mark.parametrize(
    "written", ["1А1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "0x12", "١" * 20]
)
def test_what_is_no_asset_address_is_refused(written: str) -> None:
    assert normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, written) is REFUSED


@pytest.mark.parametrize(("value", "shown"), [("+996700123456", "****3456"), ("abc", "****c"), ("ab", "****"), ("", "****")])
def test_a_masked_value_shows_a_third_at_most(value: str, shown: str) -> None:
    assert masked(value) == shown


def test_a_tron_address_that_begins_like_segwit_keeps_its_letters():
    address = "TB1osLJUB6syASghk1dw4n1DdJZtPQ2HP5"
    assert len(address) == 34
    assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, address) == address
    assert IDENTIFIERS.normal(IdentifierKind.VIRTUAL_ASSET_ADDRESS, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4").startswith(
        "bc1q"
    )
