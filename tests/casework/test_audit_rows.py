import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from casework.audit_rows import digest

VALUES = st.none() | st.text() | st.integers(-(2**63), 2**63 - 1) | st.binary()
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=6), max_size=3)


def as_stated(row: dict[str, Any]) -> str:
    """As the module says it, by the standard library."""
    said = {column: value for column, value in row.items() if value is not None}
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=bytes.hex)


@given(rows=ROWS)
def test_the_hash_of_rows_is_of_the_form_that_is_stated(rows: list[dict[str, Any]]) -> None:
    stated = "".join(as_stated(row) + "\n" for row in rows).encode("utf-8")
    assert digest(rows) == hashlib.sha256(stated).hexdigest()
