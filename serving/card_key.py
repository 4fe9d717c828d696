"""The card key of a home beside the one that the cards of the database are hashed under."""

from casework import card_keys
from casework.database import Database
from domain.errors import SettingsError
from serving.acting_person import user
from serving.settings import CARD_KEY_FILE, Settings


def check(settings: Settings, database: Database) -> None:
    """SettingsError for a home with another card key than the one in use, or with none: a new one would hash every card anew."""
    _is_there(settings, database)
    card_keys.check(database, settings.card_key())


def use(settings: Settings, database: Database) -> None:
    """As `check`, and record the first use: before cards are hashed to stay."""
    _is_there(settings, database)
    card_keys.use(database, settings.card_key(), user())


def _is_there(settings: Settings, database: Database) -> None:
    if not settings.has_card_key and (used := card_keys.in_use(database)) is not None:
        raise SettingsError(
            f"{settings.home} has no {CARD_KEY_FILE}, and the cards of the database are hashed under the key {used}; copy the file"
            " from the home of the active process, or restore it"
        )
