"""The stock assembly's request and answer, as FastAPI's documentation writes them: pydantic models."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

STORE, MODEL = "STOCK_STORE", "STOCK_MODEL"
"""Variables of the environment that name Feast's repository and MLflow's model."""
NOBODY = ""
"""The key of a customer, recipient or device that an operation does not name."""


class Strict(BaseModel):
    """Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Amount(Strict):
    """Minor units of a currency."""

    minor: int = Field(ge=0)
    currency: str = Field(min_length=3, max_length=3)


class Party(Strict):
    """Who sends or receives."""

    customer_id: str | None = Field(default=None, max_length=128)
    account: str | None = Field(default=None, max_length=128)
    wallet: str | None = Field(default=None, max_length=128)
    card: str | None = Field(default=None, max_length=128)
    phone: str | None = Field(default=None, max_length=128)
    service: str | None = Field(default=None, max_length=128)
    institution: str | None = Field(default=None, max_length=128)
    country: str | None = Field(default=None, max_length=2)
    qr_id: str | None = Field(default=None, max_length=128)
    virtual_asset_address: str | None = Field(default=None, max_length=128)

    @property
    def key(self) -> str:
        """What the party's features are kept under."""
        named = (self.account, self.wallet, self.card, self.phone, self.qr_id, self.virtual_asset_address, self.service)
        return next((name for name in named if name), NOBODY)


class Device(Strict):
    """What the operation was made with."""

    id: str | None = Field(default=None, max_length=128)
    ip: str | None = Field(default=None, max_length=64)
    country: str | None = Field(default=None, max_length=2)
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    vpn: bool | None = None
    application: str | None = Field(default=None, max_length=128)


class Access(Strict):
    """How the sender was let in, and through whom."""

    session_id: str | None = Field(default=None, max_length=128)
    login_method: str | None = Field(default=None, max_length=64)
    authorisation_method: str | None = Field(default=None, max_length=64)
    agent_id: str | None = Field(default=None, max_length=128)
    employee_id: str | None = Field(default=None, max_length=128)


class Funding(Strict):
    """Where the money comes from."""

    instrument: str | None = Field(default=None, max_length=64)
    source: str | None = Field(default=None, max_length=128)


class Operation(Strict):
    """What is to be assessed; the fields are those of Burana's own contract."""

    operation_id: str = Field(min_length=1, max_length=128)
    occurred_at: datetime
    kind: str
    amount: Amount
    sender: Party
    recipient: Party
    device: Device | None = None
    access: Access | None = None
    funding: Funding | None = None
    category: str | None = None
    purpose: str | None = Field(default=None, max_length=512)

    @property
    def entities(self) -> dict[str, str]:
        """The keys that the online store is asked with."""
        device = self.device.id if self.device else None
        return {
            "customer": self.sender.customer_id or self.sender.key,
            "recipient": self.recipient.key,
            "device": device or NOBODY,
        }


class Decision(BaseModel):
    """The answer."""

    operation_id: str
    level: str
    score: float
