"""A foreign file comes in whole, exact, in order and under the endpoint's rules, or it is told what is wrong."""

import argparse
import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import HistoryError, InputError, SettingsError
from domain.events import Outcome
from domain.identifiers import Identifiers
from domain.instants import to_ms
from domain.operation import Operation, normal_operation
from features import history
from training import import_command, mapping
from training.foreign_rows import read_foreign, texts
from training.foreign_values import amount_rule, instants_ms
from training.importing import Imported, import_rows
from training.mapping import Amount, Time

NOW = datetime(2024, 6, 1, tzinfo=UTC)
DATA = Path(__file__).parents[3] / "shared" / "data"
FOREIGN = {
    "id": ["a", "b", "c"],
    "at": ["2024-01-01 10:00:00", "2024-01-01 09:00:00", "2024-01-02 00:00:00"],
    "who": ["1", "2", "1"],
    "to": ["x", "x", "y"],
    "sum": ["57.16", "10", "0.01"],
    "bad": ["0", "1", ""],
}


def written(**changes: object) -> dict:
    """A mapping of FOREIGN as the decoded TOML; `changes`: column of operations -> table, None to leave out."""
    tables = {
        "operation_id": {"column": "id"},
        "occurred_at": {"column": "at", "time_zone": "UTC"},
        "kind": {"constant": "qr_or_card"},
        "amount_minor": {"column": "sum", "unit": "major", "rounding": "half_even"},
        "currency": {"constant": "KGS"},
        "sender_customer_id": {"column": "who", "template": "c{}"},
        "recipient_account": {"column": "to"},
    }
    outcomes = {"verdict": {"column": "bad", "fraud": [1], "legitimate": [0]}, "known_at": {"after": "7d"}}
    operations = {name: table for name, table in (tables | changes).items() if table is not None}
    return {"operations": operations, "outcomes": outcomes}


def imported(
    document: dict | None = None, card_key: bytes | None = None, latest: datetime = NOW, **columns: list
) -> Imported:
    """The import of FOREIGN with other `columns`, cut to the shortest."""
    chosen = FOREIGN | columns
    rows = min(len(values) for values in chosen.values())
    frame = pl.DataFrame({name: values[:rows] for name, values in chosen.items()})
    return import_rows(frame, mapping.parse(document or written(), "test.toml"), card_key, latest)


def column(result: Imported, name: str) -> list:
    return result.history.operations[name].to_pylist()


def told(result: Imported) -> list[tuple]:
    return result.rejects.rows()


class TestOrder:
    def test_operations_stand_in_the_order_of_time_and_outcomes_follow_when_they_became_known(self) -> None:
        result = imported()
        assert column(result, "operation_id") == ["b", "a", "c"]
        outcomes = result.history.outcomes.to_pylist()
        assert [(o["operation_id"], o["verdict"], o["source"]) for o in outcomes] == [
            ("b", "fraud", "import"),
            ("a", "legitimate", "import"),
        ]
        assert outcomes[0]["known_at"] == datetime(2024, 1, 8, 9, tzinfo=UTC)
        assert column(result, "sequence") + [o["sequence"] for o in outcomes] == [1, 2, 3, 4, 5]

    def test_an_outcome_known_at_an_instant_is_known_to_the_operations_of_that_instant(self) -> None:
        result = imported(at=["2024-01-01", "2024-01-08", "2024-01-08"], bad=["1", "0", "0"])
        assert column(result, "sequence") == [1, 3, 4]
        assert result.history.outcomes["sequence"].to_pylist() == [2, 5, 6]

    @settings(deadline=None, max_examples=60)
    @given(days=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["0", "1", ""])), min_size=1, max_size=12))
    def test_the_sequence_is_that_of_a_plain_sort_by_arrival(self, days: list[tuple[int, str]]) -> None:
        foreign = {
            "id": [str(row) for row in range(len(days))],
            "at": [f"2024-01-0{day}" for day, _ in days],
            "bad": [label for _, label in days],
        }
        result = imported(written(), **foreign, **{name: ["1"] * len(days) for name in ("who", "to", "sum")})
        arrivals = [(day + 7, 0, day, row, f"import:{row}") for row, (day, label) in enumerate(days) if label]
        arrivals += [(day, 1, day, row, str(row)) for row, (day, _) in enumerate(days)]
        seen = dict(zip(column(result, "sequence"), column(result, "operation_id"), strict=True))
        outcomes = result.history.outcomes
        seen |= dict(zip(outcomes["sequence"].to_pylist(), outcomes["outcome_id"].to_pylist(), strict=True))
        assert [seen[place] for place in sorted(seen)] == [arrival[-1] for arrival in sorted(arrivals)]


class TestMoney:
    @pytest.mark.parametrize(
        ("foreign", "minor"),
        [
            ("57.16000000000001", 5716),
            ("85.64999999999999", 8565),
            ("2.675", 268),
            ("2.665", 266),
            ("1e2", 10000),
            ("-0.0", 0),
        ],
    )
    def test_float_dust_leaves_no_trace_and_halves_go_to_the_even(self, foreign: str, minor: int) -> None:
        assert column(imported(sum=[foreign]), "amount_minor") == [minor]
        assert column(imported(sum=[float(foreign)]), "amount_minor") == [minor]

    @given(st.decimals(0, 10**9, places=5), st.sampled_from(["half_even", "half_up"]), st.integers(0, 2))
    def test_an_amount_is_rounded_once_in_decimal(self, amount: Decimal, rounding: str, decimals: int) -> None:
        source = Amount("sum", "major", rounding, decimals)
        expected = amount.quantize(
            Decimal(1).scaleb(-decimals), {"half_even": ROUND_HALF_EVEN, "half_up": ROUND_HALF_UP}[rounding]
        )
        assert amount_rule(source)(f"KGS {amount}") == int(expected * 100)

    @given(st.floats(0, 1e9))
    def test_a_float_is_the_shortest_decimal_that_reads_back_as_it(self, amount: float) -> None:
        [text] = texts(pl.Series([amount]))
        assert float(text) == amount
        assert Decimal(text) == Decimal(repr(amount))

    def test_each_currency_has_its_own_minor_unit(self) -> None:
        document = written(currency={"column": "to"})
        assert column(imported(document, to=["JPY", "USD"], sum=["100", "100"]), "amount_minor") == [10000, 100]

    def test_minor_units_stay_as_they_are(self) -> None:
        document = written(amount_minor={"column": "sum", "unit": "minor", "rounding": "refuse"})
        result = imported(document, sum=[5716, 1, 0])
        assert column(result, "amount_minor") == [1, 5716, 0]
        assert result.figures.amounts == {"KGS": 5717}
        assert told(imported(document, sum=["1.5"])) == [(1, "sum", "'1.5'", "at most 0 decimals")]

    def test_a_decimal_comma_is_read_where_the_mapping_says_so(self) -> None:
        document = written(
            amount_minor={"column": "sum", "unit": "major", "rounding": "half_up", "decimals": 2, "decimal_mark": ","}
        )
        assert column(imported(document, sum=["57,165"]), "amount_minor") == [5717]
        assert imported(document, sum=["57.16"]).figures.rejected == 1

    @pytest.mark.parametrize(
        "foreign", ["nan", "inf", "-0.01", "1_000", "1 000", "12,5", "\u0663", "1e400", "1e11", "", "x"]
    )
    def test_what_is_no_amount_rejects_the_row(self, foreign: str) -> None:
        result = imported(sum=["1", foreign])
        assert (result.figures.imported, result.figures.rejected) == (1, 1)
        assert told(result)[0][:2] == (2, "sum")

    @pytest.mark.parametrize("foreign", [float("nan"), float("inf"), -1.0, None])
    def test_what_is_no_amount_in_parquet_rejects_the_row(self, foreign: float | None) -> None:
        assert told(imported(sum=[1.0, foreign]))[0][:2] == (2, "sum")

    def test_an_amount_that_is_refused_unless_exact_is_told_how_many_decimals(self) -> None:
        document = written(amount_minor={"column": "sum", "unit": "major", "rounding": "refuse"})
        assert told(imported(document, sum=["1.005"])) == [(1, "sum", "'1.005'", "at most 2 decimals")]


class TestTime:
    def at(self, foreign: object, **time: object) -> datetime | None:
        [ms] = instants_ms(pl.Series([foreign]), Time("at", **time), to_ms(NOW))
        return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)

    def test_naive_times_are_read_in_the_zone_of_the_mapping(self) -> None:
        noon = datetime(2024, 1, 1, 6, tzinfo=UTC)
        assert self.at("2024-01-01 12:00:00", time_zone="Asia/Bishkek") == noon
        assert self.at(datetime(2024, 1, 1, 12), time_zone="Asia/Bishkek") == noon
        assert self.at("01.01.2024 12:00", time_zone="Asia/Bishkek", format="%d.%m.%Y %H:%M") == noon

    def test_an_offset_in_the_value_goes_before_the_zone(self) -> None:
        for text in ("2024-01-01T12:00:00+06:00", "2024-01-01 06:00:00Z", "2024-01-01T06:00:00.000Z"):
            assert self.at(text, time_zone="Europe/Berlin") == datetime(2024, 1, 1, 6, tzinfo=UTC)
        assert self.at("2024-01-01 12:00 +0600", format="%Y-%m-%d %H:%M %z") == datetime(2024, 1, 1, 6, tzinfo=UTC)
        assert self.at("2024-01-01 12:00 +06:00", format="%Y-%m-%d %H:%M %:z") == datetime(2024, 1, 1, 6, tzinfo=UTC)
        aware = datetime(2024, 1, 1, 12, tzinfo=UTC)
        assert self.at(aware, time_zone="Europe/Berlin") == aware

    @given(st.datetimes(datetime(2000, 1, 1), datetime(2024, 5, 31)))
    def test_an_iso_time_is_kept_to_the_millisecond(self, moment: datetime) -> None:
        expected = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
        assert self.at(moment.isoformat(), time_zone="UTC") == self.at(moment, time_zone="UTC") == expected

    def test_steps_are_counted_from_the_origin(self) -> None:
        counted = {"origin": datetime(2024, 1, 1, tzinfo=UTC), "step": "1h"}
        for step in (25, "25"):
            assert self.at(step, **counted) == datetime(2024, 1, 2, 1, tzinfo=UTC)
        for step in ("1.5", "x", 10**18, -(10**18), "9" * 30):
            assert self.at(step, **counted) is None

    @pytest.mark.parametrize(
        "foreign",
        ["", "yesterday", "1999-12-31", "2024-06-01 02:00:01", "2024-02-30", "2024-03-31 02:30:00", "2023-10-29 02:30:00"],
    )
    def test_no_time_a_time_out_of_bounds_and_one_that_the_clocks_skip_or_repeat_are_rejected(self, foreign: str) -> None:
        document = written(occurred_at={"column": "at", "time_zone": "Europe/Berlin"})
        assert told(imported(document, at=["2024-01-01", foreign]))[0][:2] == (2, "at")

    def test_numbers_without_an_origin_are_no_times(self) -> None:
        with pytest.raises(HistoryError, match="column at: type: seen 'Int64', allowed: times or texts"):
            imported(at=[1, 2])


class TestIdentifiers:
    def test_identifiers_come_in_their_normal_form(self) -> None:
        document = written(
            recipient_phone={"column": "phone"},
            recipient_service={"column": "shop", "strip_prefix": "fraud_"},
            recipient_account=None,
        )
        result = imported(document, phone=["0555 123456", None], shop=["fraud_Kirlin  and Sons", "fraud_X"])
        assert column(result, "recipient_phone") == [None, "+996555123456"]
        assert column(result, "recipient_service") == ["x", "kirlin and sons"]

    def test_whole_floats_name_the_same_customer_as_integers(self) -> None:
        assert (
            column(imported(who=[596.0]), "sender_customer_id")
            == column(imported(who=[596]), "sender_customer_id")
            == ["c596"]
        )

    def test_an_account_is_the_same_when_it_sends_and_when_it_receives(self) -> None:
        document = written(sender_customer_id=None, sender_account={"column": "who"})
        result = imported(document, who=["C1", "M2"], to=["M2", "c1"])
        assert column(result, "sender_account") == column(result, "recipient_account")[::-1]

    def test_an_identifier_without_a_normal_form_rejects_the_row(self) -> None:
        assert told(imported(to=["x", "\u0441\u0447\u0435\u0442"]))[0][:3] == (2, "to", "'\\u0441\\u0447\\u0435\\u0442'")

    def test_a_row_without_any_identifier_of_a_side_is_rejected(self) -> None:
        assert told(imported(to=["x", None])) == [(2, "recipient", "None", "at least one identifier of the recipient")]

    def test_the_second_of_two_equal_operation_ids_is_rejected(self) -> None:
        result = imported(id=["a", "a", "c"])
        assert told(result) == [(2, "id", "'a'", "an id that no earlier row has")]
        assert column(result, "operation_id") == ["a", "c"]

    @pytest.mark.parametrize("foreign", ["", "a b", "x" * 129, "x" * 122])
    def test_an_operation_id_that_the_endpoint_or_its_outcome_cannot_carry_is_rejected(self, foreign: str) -> None:
        assert told(imported(id=["a", foreign]))[0][:2] == (2, "id")

    def test_an_operation_id_of_other_characters_is_told_in_words_what_it_may_be(self) -> None:
        allowed = "1 to 128 printable characters of ASCII, no blanks"
        assert told(imported(id=["a b", "b"])) == [(1, "id", "'a b'", allowed)]

    def test_row_numbers_serve_where_the_file_has_no_ids(self) -> None:
        document = written(operation_id={"row_number": True, "template": "row-{}"})
        assert column(imported(document), "operation_id") == ["row-2", "row-1", "row-3"]


class TestCards:
    NUMBER = "4111 1111 1111 1111"
    document = written(sender_card={"column": "card"})

    def test_card_numbers_are_hashed_under_the_key_and_stand_nowhere(self) -> None:
        [token] = column(imported(self.document, b"k" * 16, card=[self.NUMBER]), "sender_card")
        assert token.startswith("card-")
        assert column(imported(self.document, b"l" * 16, card=[self.NUMBER]), "sender_card") != [token]
        assert column(imported(self.document, card=[token]), "sender_card") == [token]

    def test_card_numbers_without_a_key_stop_the_import(self) -> None:
        with pytest.raises(SettingsError, match="BURANA_CARD_KEY"):
            imported(self.document, card=[self.NUMBER])

    def test_a_wrong_card_number_is_rejected_and_not_told(self) -> None:
        [[row, place, seen, _]] = told(imported(self.document, b"k" * 16, card=["4111111111111112"]))
        assert (row, place, seen) == (1, "card", "'16 characters'")


class TestValues:
    def test_a_value_without_an_entry_in_the_table_is_rejected(self) -> None:
        document = written(category={"column": "shop", "values": {"food": "5812"}})
        result = imported(document, shop=["food", "fuel", None])
        assert told(result) == [(2, "shop", "'fuel'", "one of food")]
        assert column(result, "category") == ["5812", None]

    @pytest.mark.parametrize(
        ("name", "foreign"),
        [
            ("category", "581"),
            ("sender_country", "XX"),
            ("device_latitude", "91"),
            ("device_longitude", "nan"),
            ("device_ip", "1.2.3"),
            ("device_vpn", "perhaps"),
            ("kind", "qr_or_cards"),
            ("currency", "XAU"),
            ("purpose", "x" * 501),
        ],
    )
    def test_every_column_keeps_the_rule_of_the_endpoint(self, name: str, foreign: str) -> None:
        result = imported(written(**{name: {"column": "other"}}), other=[foreign])
        assert (result.figures.imported, told(result)[0][:2]) == (0, (1, "other"))

    def test_numbers_and_truths_come_as_what_they_are(self) -> None:
        document = written(device_latitude={"column": "lat"}, device_vpn={"column": "vpn"})
        result = imported(document, lat=pl.Series([28.39], dtype=pl.Float32).to_list(), vpn=[True])
        assert (column(result, "device_latitude"), column(result, "device_vpn")) == ([pytest.approx(28.39)], [True])
        assert texts(pl.Series([28.39], dtype=pl.Float32)).to_list() == ["28.39"]

    def test_texts_that_mean_no_value_are_absent(self) -> None:
        document = written(category={"column": "shop"}) | {"file": {"missing": ["NA"]}}
        assert column(imported(document, shop=["NA", " ", "5812"]), "category") == [None, None, "5812"]

    def test_every_fault_of_a_row_is_told_and_the_row_is_counted_once(self) -> None:
        result = imported(sum=["x"], to=["?"], at=["never"])
        assert ({line[1] for line in told(result)}, result.figures.rejected) == ({"sum", "to", "at"}, 1)


class TestOutcomes:
    def known(self, **columns: list) -> Imported:
        document = written()
        document["outcomes"]["known_at"] = {"column": "known", "time_zone": "UTC"}
        return imported(document, **columns)

    def test_an_outcome_may_say_when_it_became_known(self) -> None:
        result = self.known(known=["2024-02-01", "2024-01-15", None])
        assert [o["operation_id"] for o in result.history.outcomes.to_pylist()] == ["b", "a"]

    @pytest.mark.parametrize("known", ["2024-01-01 10:00:00", "2023-12-31", "2025-01-01", None, "x"])
    def test_an_outcome_known_before_its_operation_or_never_rejects_the_row(self, known: str | None) -> None:
        assert told(self.known(known=[known]))[0][:2] == (1, "known")

    def test_an_outcome_whose_delay_is_not_over_is_not_known_yet(self) -> None:
        result = imported(latest=datetime(2024, 1, 8, 9, 30, tzinfo=UTC))
        figures = result.figures
        assert (figures.fraud, figures.legitimate, figures.without_outcome, figures.not_yet_known) == (1, 0, 2, 1)

    def test_the_scheme_is_kept_for_fraud_alone(self) -> None:
        document = written()
        document["outcomes"]["scheme"] = {"constant": "card_misuse"}
        assert imported(document).history.outcomes["scheme"].to_pylist() == ["card_misuse", None]

    def test_a_file_without_labels_has_no_outcomes(self) -> None:
        document = written()
        del document["outcomes"]
        result = imported(document)
        assert (result.history.outcomes.num_rows, result.figures.fraud_share) == (0, None)

    def test_a_file_without_rows_is_a_history_without_rows(self) -> None:
        figures = imported(id=[]).figures
        assert (figures.rows, figures.first, figures.amounts) == (0, None, {})


def changed(place: str, value: object) -> dict:
    """The mapping of FOREIGN with the value at a dotted place changed, or taken away by None."""
    document = written()
    *parents, last = place.split(".")
    table = document
    for name in parents:
        table = table.setdefault(name, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return document


class TestWrongMappings:
    @pytest.mark.parametrize(
        ("place", "value", "message"),
        [
            ("operation", {}, r"operation: unknown key, allowed: .*did you mean operations\?"),
            ("operations.sender_custmer_id", {"column": "who"}, r"unknown key.*did you mean sender_customer_id\?"),
            ("operations.kind.colum", "k", r"operations\.kind\.colum: unknown key.*did you mean column\?"),
            ("operations.kind.constant", "qr_or_cart", r"operations\.kind\.constant: seen .*did you mean qr_or_card\?"),
            ("operations.kind.column", "who", r"operations\.kind\.column: .*exactly one of column, constant"),
            ("operations.currency.constant", "SOM", r"operations\.currency\.constant: seen .*KGS"),
            ("operations.category", {"column": "to", "values": {"x": "58"}}, r"operations\.category\.values\.x: seen '58'"),
            ("operations.amount_minor.unit", "majr", r"unit: seen 'majr', allowed: one of .*did you mean major\?"),
            ("operations.amount_minor.decimals", -1, r"decimals: seen -1, allowed: `int` >= 0"),
            ("operations.amount_minor.rounding", None, r"operations\.amount_minor: .*missing: rounding"),
            ("operations.amount_minor", None, r"operations: .*missing: amount_minor"),
            ("operations.recipient_account", None, r"operations: no recipient, needed: at least one of recipient_account"),
            ("operations.occurred_at.time_zone", "Asia/Bishkk", r"time_zone: seen .*Asia/Bishkek"),
            ("operations.occurred_at.time_zone", None, r"operations\.occurred_at\.time_zone: seen None"),
            ("operations.occurred_at.step", "1h", r"origin and step together"),
            ("operations.occurred_at.format", "%s", r"format: seen '%s', allowed: no %s: seconds are counted, by origin"),
            ("operations.occurred_at.format", "%H:%M %Z", r"format: seen '%H:%M %Z', allowed: no %Z: .*time_zone"),
            (
                "operations.occurred_at",
                {"column": "at", "origin": NOW, "step": "0h"},
                r"step: seen '0h', allowed: .*above zero",
            ),
            ("operations.sender_customer_id.template", "c", r"template: seen 'c', allowed: a text with one \{\}"),
            ("operations.sender_customer_id", "who", r"operations\.sender_customer_id: seen 'who', allowed: a table"),
            ("outcomes.known_at.after", "a week", r"outcomes\.known_at\.after: seen 'a week', allowed: .*7d"),
            ("outcomes.known_at.after", "0d", r"a duration above zero"),
            ("outcomes.verdict.legitimate", [0, 1], r"legitimate: seen .*not among those of fraud"),
            ("outcomes.scheme", {"constant": "card_missuse"}, r"outcomes\.scheme\.constant: .*did you mean card_misuse\?"),
            ("file.separator", ";;", r"file\.separator: seen ';;', allowed: one of"),
            ("file.encoding", "utf9", r"file\.encoding: seen 'utf9'"),
        ],
    )
    def test_a_wrong_mapping_is_told_the_place_what_was_seen_and_what_is_allowed(
        self, place: str, value: object, message: str
    ) -> None:
        with pytest.raises(HistoryError, match=message) as error:
            imported(changed(place, value))
        assert str(error.value).startswith("test.toml: ")

    def test_a_foreign_column_that_is_missing_is_told_with_the_closest(self, tmp_path: Path) -> None:
        pl.DataFrame(FOREIGN).write_csv(tmp_path / "rows.csv")
        document = changed("operations.amount_minor.column", "sums")
        with pytest.raises(HistoryError, match=r"operations\.amount_minor\.column: seen 'sums', .*did you mean sum\?"):
            read_foreign(tmp_path / "rows.csv", mapping.parse(document, "test.toml"))

    def test_two_foreign_columns_of_one_name_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("id,at,who,to,sum,bad,sum\na,2024-01-01,1,x,1,0,900\n")
        with pytest.raises(
            HistoryError, match=r"operations\.amount_minor\.column: seen 2 columns 'sum' in rows\.csv, allowed: one"
        ):
            read_foreign(tmp_path / "rows.csv", mapping.parse(changed("operations.amount_minor.column", "sum"), "test.toml"))

    def test_what_is_not_toml_is_told_the_line(self, tmp_path: Path) -> None:
        (tmp_path / "m.toml").write_text("[operations\n")
        with pytest.raises(HistoryError, match=r"m\.toml: not a TOML file: .*line 1"):
            mapping.load(tmp_path / "m.toml")

    def test_brackets_without_end_are_no_mapping(self, tmp_path: Path) -> None:
        (tmp_path / "m.toml").write_text("a = " + "[" * 100_000)
        with pytest.raises(HistoryError, match=r"m\.toml: not a TOML file: "):
            mapping.load(tmp_path / "m.toml")

    def test_an_unknown_mapping_is_told_the_shipped_ones(self) -> None:
        with pytest.raises(HistoryError, match=r"handbook, paysim, sparkov \(did you mean handbook\?\)"):
            mapping.find("handbok")

    def test_a_duration_beyond_any_calendar_is_refused(self) -> None:
        with pytest.raises(InputError):
            mapping.length_ms("9" * 10 + "d")


TOML = """
[operations]
operation_id = { column = "id" }
occurred_at = { column = "at", time_zone = "UTC" }
kind = { constant = "qr_or_card" }
amount_minor = { column = "sum", unit = "major", rounding = "half_even" }
currency = { constant = "KGS" }
sender_customer_id = { column = "who", template = "c{}" }
recipient_account = { column = "to" }
[outcomes]
verdict = { column = "bad", fraud = ["1"], legitimate = ["0"] }
known_at = { after = "7d" }
"""


class Command:
    """`burana import` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "history"
        self.rejects = folder / "history.rejects.csv"
        (folder / "test.toml").write_text(TOML)

    def run(self, *extra: str, file: str = "rows.csv", **columns: list) -> int:
        frame = pl.DataFrame(FOREIGN | columns)
        frame.write_parquet(self.folder / file) if file.endswith("parquet") else frame.write_csv(self.folder / file)
        return self.run_file(self.folder / file, *extra)

    def run_file(self, file: Path, *extra: str, mapping: str | None = None) -> int:
        parser = argparse.ArgumentParser()
        import_command.add_arguments(parser)
        chosen = mapping or str(self.folder / "test.toml")
        words = ["--mapping", chosen, "--operations", str(file), "--out", str(self.out), *extra]
        return import_command.run(parser.parse_args(words))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


class TestCommand:
    def test_csv_and_parquet_come_to_the_same_history(self, tmp_path: Path) -> None:
        hashes = set()
        for file in ("rows.csv", "rows.parquet"):
            (tmp_path / file).mkdir()
            command = Command(tmp_path / file)
            assert command.run(file=file) == 0
            hashes.add(history.sha256(command.out))
        assert len(hashes) == 1

    def test_a_csv_is_read_with_the_separator_and_encoding_of_the_mapping(self, command: Command) -> None:
        (command.folder / "test.toml").write_text('file = { separator = ";", encoding = "windows-1251" }\n' + TOML)
        text = "id;at;who;to;sum;bad\na;2024-01-01;\u2116 1;x;1;0\n"
        (command.folder / "rows.txt").write_bytes(text.encode("windows-1251"))
        assert command.run_file(command.folder / "rows.txt") == 0
        assert history.read(command.out).operations["sender_customer_id"].to_pylist() == ["cno1"]

    def test_rejects_stop_the_import_and_nothing_is_written_but_their_file(
        self, command: Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.run(sum=["1", "x", "3"]) == 1
        assert sorted(path.name for path in command.folder.iterdir()) == ["history.rejects.csv", "rows.csv", "test.toml"]
        assert list(csv.DictReader(command.rejects.read_text().splitlines())) == [
            {"row": "2", "column": "sum", "seen": "'x'", "allowed": "a number of at least 0, written in digits"}
        ]
        assert str(command.rejects) in capsys.readouterr().out

    @pytest.mark.parametrize(("allowed", "code"), [(("--allow-rejects",), 0), (("--allow-rejects", "1"), 0), ((), 1)])
    def test_rejects_that_are_allowed_leave_the_other_rows(
        self, command: Command, allowed: tuple[str, ...], code: int
    ) -> None:
        assert command.run(*allowed, sum=["1", "x", "3"]) == code
        assert command.out.exists() is (code == 0)
        if code == 0:
            assert history.read(command.out).operations["operation_id"].to_pylist() == ["a", "c"]

    def test_more_rejects_than_allowed_stop_the_import(self, command: Command) -> None:
        assert command.run("--allow-rejects", "1", sum=["-1", "x", "3"]) == 1
        assert not command.out.exists()

    def test_an_import_without_rejects_leaves_none_of_an_earlier_one(self, command: Command) -> None:
        command.run(sum=["1", "x", "3"])
        assert command.run() == 0
        assert list(csv.DictReader(command.rejects.read_text().splitlines())) == []

    def test_a_history_that_exists_is_not_touched(self, command: Command) -> None:
        command.run()
        before = history.sha256(command.out)
        with pytest.raises(HistoryError, match="exists"):
            command.run(sum=["1", "2", "3"])
        assert history.sha256(command.out) == before

    def test_a_fault_on_the_way_leaves_nothing(self, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr("features.history.pq.write_table", full)
        with pytest.raises(OSError, match="no space"):
            command.run()
        assert sorted(path.name for path in command.folder.iterdir()) == ["rows.csv", "test.toml"]

    def test_every_printed_figure_is_written_to_json(self, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
        figures = command.folder / "figures.json"
        command.run("--json", str(figures))
        told = json.loads(figures.read_text())
        assert (told["rows"], told["imported"], told["rejected"], told["fraud"], told["fraud_share"]) == (3, 3, 0, 1, 0.5)
        assert (told["first"], told["amounts"], told["rejects"]) == ("2024-01-01T09:00:00Z", {"KGS": 6717}, None)
        assert "67.17 KGS" in capsys.readouterr().out

    @pytest.mark.parametrize("content", [b"", b"PAR1 but no more", b"id,at\n1,2,3\n"])
    def test_a_file_that_cannot_be_read_is_told(self, command: Command, content: bytes) -> None:
        (command.folder / "broken").write_bytes(content)
        with pytest.raises(HistoryError, match="broken"):
            command.run_file(command.folder / "broken")

    @pytest.mark.parametrize("values", [[["x"], ["x"], ["y"]], [{"name": "x"}] * 3], ids=["lists", "records"])
    def test_a_column_of_lists_or_records_is_told(self, command: Command, values: list) -> None:
        with pytest.raises(
            HistoryError, match=r"test.toml: operations.recipient_account.column: seen to of (List|Struct).*, allowed"
        ):
            command.run(file="rows.parquet", to=values)

    def test_texts_that_parquet_has_as_bytes_are_read_where_they_are_utf_8(self, tmp_path: Path) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir(), second.mkdir()
        assert Command(first).run(file="rows.parquet", to=[b"x", b"x", b"y"]) == 0
        with pytest.raises(HistoryError, match=r"not a Parquet or CSV file that can be read: .*utf8"):
            Command(second).run("--allow-rejects", file="rows.parquet", to=[b"x", b"\xff", b"y"])

    def test_a_file_that_is_not_there_is_told(self, command: Command) -> None:
        with pytest.raises(HistoryError, match="No such file"):
            command.run_file(command.folder / "absent.parquet")

    def test_the_card_key_comes_from_a_file_or_else_from_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("BURANA_CARD_KEY", raising=False)
        assert import_command.card_key(None) is None
        monkeypatch.setenv("BURANA_CARD_KEY", "00" * 16)
        (tmp_path / "key").write_text("ff" * 32 + "\n")
        assert (import_command.card_key(None), import_command.card_key(tmp_path / "key")) == (bytes(16), b"\xff" * 32)

    @pytest.mark.parametrize("text", ["00" * 15, "secret", ""])
    def test_a_card_key_that_is_no_key_is_refused_and_not_told(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURANA_CARD_KEY", text)
        with pytest.raises(SettingsError, match="BURANA_CARD_KEY") as error:
            import_command.card_key(None)
        assert not text or text not in str(error.value)


SHARED = {"handbook": "handbook_dev", "sparkov": "sparkov_dev", "paysim": "paysim"}


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A shipped mapping's name and the first 5,000 rows of its public data set."""
    file = DATA / f"{SHARED[request.param]}.parquet"
    if not file.is_file():
        pytest.skip(f"the public data set {file.name} is not on this machine")
    head = tmp_path / file.name
    pl.scan_parquet(file).head(5_000).collect().write_parquet(head)
    return request.param, head


class TestShippedMappings:
    @pytest.mark.parametrize("name", mapping.shipped())
    def test_every_shipped_mapping_loads_by_name_with_and_without_toml(self, name: str) -> None:
        assert mapping.load(mapping.find(name)) == mapping.load(mapping.find(f"{name}.toml"))

    @pytest.mark.parametrize("name", mapping.shipped())
    def test_neither_balances_nor_scenarios_nor_segments_are_imported(self, name: str) -> None:
        read = " ".join(mapping.load(mapping.find(name)).foreign_columns().values()).lower()
        assert not [word for word in ("balance", "scenario", "profile", "gender", "dob", "flagged") if word in read]

    def test_a_data_set_comes_in_whole_and_as_the_endpoint_would_take_it(
        self, shared: tuple[str, Path], command: Command
    ) -> None:
        name, file = shared
        assert command.run_file(file, mapping=name) == 0
        read = history.read(command.out)
        assert (read.operations.num_rows, read.outcomes.num_rows) == (5_000, 5_000)
        identifiers = Identifiers(bytes(16))
        for _, operation in history.records_of(read.operations, Operation):
            assert normal_operation(operation, identifiers, NOW + timedelta(days=9999)) == operation
        assert {outcome.source for _, outcome in history.records_of(read.outcomes, Outcome)} == {"import"}

    def test_the_sums_of_a_data_set_are_those_of_its_rounded_amounts(self, shared: tuple[str, Path]) -> None:
        name, file = shared
        chosen = mapping.load(mapping.find(name))
        frame = read_foreign(file, chosen)
        foreign = frame[chosen.foreign_columns()["operations.amount_minor.column"]]
        expected = sum(round(amount * 100) for amount in foreign)
        assert sum(import_rows(frame, chosen, None, datetime.now(UTC)).figures.amounts.values()) == expected
