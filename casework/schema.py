"""The schema of a database: made where there is none, brought up to date, refused where a later release made it."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from casework import adoption
from casework.tables import REVISION
from domain.errors import SettingsError

STEPS = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """At which step a database stands; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(text("SELECT version_num FROM alembic_version"))


def is_up_to_date(connection: Connection) -> bool:
    """Whether nothing is missing."""
    return revision(connection) == REVISION


def bring_up_to_date(connection: Connection) -> None:
    """Take the steps that are missing, in the transaction of this connection; what is recorded stays."""
    if (stands_at := revision(connection)) == REVISION:
        return
    with adoption.rows_kept(connection, stands_at):
        _upgrade(connection, stands_at)
    from casework import taken_over  # noqa: PLC0415 the audit log is written through the database, which is made here

    taken_over.record(connection, stands_at)


def _upgrade(connection: Connection, stands_at: str | None) -> None:
    from alembic import command  # noqa: PLC0415 a quarter of a second that an opened database does without
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SettingsError(
            f"the database stands at step {stands_at}, this release knows {REVISION}: it was made by a later release, use that"
        ) from error
