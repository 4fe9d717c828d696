"""The store of training runs: what is said when it cannot be reached."""

from training import tracking


def test_no_password_of_a_store_is_said() -> None:
    said = tracking.without_secrets("postgresql://burana:secret@db:5432/mlflow: refused")
    assert said == "postgresql://***@db:5432/mlflow: refused"
