"""What workers tell the controller and what the controller tells callers.

    PUT    /workers/{worker_id}           Announcement → Lease      "I am here"; repeated, it keeps the worker alive
    DELETE /workers/{worker_id}                                     sign-off
    GET    /workers?after=E:V&wait_s=20   → Snapshot                returns at once unless version E:V is still current

A worker that announces nothing for `Lease.ttl_s` seconds is forgotten. The state is soft: a controller that was
restarted knows everybody again after one announcement each. Until that time has passed its snapshots say
`is_settled = false`, and callers keep what they knew before.
"""

import os
import re
import secrets
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

TTL_S = 5.0
ANNOUNCE_EVERY_S = 1.0
SETTLE_S = 2.5  # after a start: by then everybody alive has announced itself at least twice
TOKEN_ENV = "FASTCHAT_CONTROLLER_TOKEN"

PolicyName: TypeAlias = Literal["least_loaded", "shortest_queue", "lottery"]
WorkerId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
ModelName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def new_worker_id() -> str:
    """A name for one life of one worker: it must not survive a restart, or the old life's sign-off ends the new one."""
    return secrets.token_hex(8)


def controller_token() -> str | None:
    """The secret that controller, workers and callers share."""
    return os.environ.get(TOKEN_ENV) or None


def _address(url: str) -> str:
    """Callers glue routes to it, so it holds a host, perhaps a port and a path, and nothing else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s@?#]", url):
        raise ValueError(f"not an address of the form http://host:port: {url[:200]!r}")
    _ = parts.port  # raises ValueError where it is none
    return url


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class RecommendedConfig(_Wire):
    """What whoever registered a model recommends for it. Battles may use it; what an API request says stands."""

    temperature: float | None = Field(None, ge=0, le=2, description="how freely tokens are drawn")
    top_p: float | None = Field(None, ge=0, le=1, description="share of the likeliest tokens that are drawn from")
    max_new_tokens: int | None = Field(None, ge=1, description="longest answer")
    # Any: whatever the provider understands
    extra_body: dict[str, Any] = Field({}, description="further fields of the request")


class ArenaPresence(_Wire):
    """Where a registered model appears."""

    in_text: bool = True
    in_vision: bool = False
    is_anonymous_only: bool = False  # battles may draw it, lists do not show it
    keeps_system_prompt: bool = False  # FastChat's `custom_system_prompt`
    recommended: RecommendedConfig | None = None


class ServedModel(_Wire):
    """One name under which a worker answers."""

    name: ModelName
    upstream_name: ModelName | None = None  # what the endpoint itself calls it, where that differs
    context_length: int | None = Field(None, ge=1)  # tokens a request may use
    features: tuple[str, ...] = ()
    engine: str | None = None
    arena: ArenaPresence | None = None  # None: nobody has said anything about it


class Load(_Wire):
    """How busy a worker is, counted in requests."""

    running: int = Field(0, ge=0)
    waiting: int = Field(0, ge=0)


class Announcement(_Wire):
    url: Annotated[str, AfterValidator(_address)]  # without `api_path`
    api_path: str = Field("/v1", pattern=r"^(/[\x21-\x7e]*)?$")  # where OpenAI's routes are at `url`
    api_type: str = Field("openai", pattern=r"^[a-z0-9_]{1,32}$")  # what is spoken there; callers translate
    settings: dict[str, str] = {}  # what that protocol needs besides: a region, a project
    models: tuple[ServedModel, ...] = Field(min_length=1)
    capacity: int = Field(1, ge=1)  # requests it decodes at the same time
    load: Load = Load()
    is_draining: bool = False  # finishes what runs, wants nothing new
    api_key: str | None = Field(None, pattern=r"^[\x21-\x7e]+$")  # callers must send it as a bearer token


class Lease(_Wire):
    ttl_s: float
    announce_every_s: float


class WorkerEntry(Announcement):
    worker_id: WorkerId


class Snapshot(_Wire):
    version: str  # opaque; changes when who serves what changes, not with the load
    is_settled: bool
    policy: PolicyName
    workers: tuple[WorkerEntry, ...]
    departed_models: tuple[str, ...]  # were served once, nobody alive serves them
