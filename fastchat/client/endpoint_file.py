"""FastChat's register file: models that others serve, and how to reach them.

    {"GPT 5 mini": {"model_name": "gpt-5-mini", "api_type": "openai", "api_key": "env:OPENAI_API_KEY",
                    "api_base": "https://api.openai.com/v1", "anony_only": false}, …}

The same entries stand in fastchat.yaml under `endpoints:`. What FastChat's page did with an entry alone
(`recommended_config`, the flags of the arena) is kept with the model and never changes what an API request says.
"""

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from fastchat.client.api_types import API_TYPES, WITHDRAWN, ApiType, home_of
from fastchat.client.endpoints import HOSTED, Endpoint
from fastchat.client.providers.registry import check_installed
from fastchat.core.errors import SetupError
from fastchat.protocol.control import (
    Announcement,
    ArenaPresence,
    ModelName,
    RecommendedConfig,
    ServedModel,
    WorkerEntry,
)

log = logging.getLogger(__name__)

REGISTERED = "register file"  # the source of such endpoints in a Fleet
_NO_KEYS = ("", "empty", "none", "null")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # addresses to listen on, as people copy them from a log
_ROUTES = re.compile(r"/(chat/completions|completions|embeddings|models)$")


def from_environment(value: object, info: ValidationInfo) -> object:
    """What `env:NAME` stands for; anything else as it is."""
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    if not _environ(info).get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return _environ(info)[name]


def _environ(info: ValidationInfo) -> Mapping[str, str]:
    environ: Mapping[str, str] = info.context["environ"] if info.context else os.environ
    return environ


def _plain_key(value: object) -> object:
    """Without the line ends that come along when a key is pasted; None where a word says that there is none."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value.lower() in _NO_KEYS:
        return None
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("a key holds neither spaces nor letters beyond ASCII")
    return value


def _is_old_azure(api_base: object) -> bool:
    """FastChat used Azure's client where the model's name said so; the address says it more surely."""
    return isinstance(api_base, str) and bool(re.match(r"https://[^/]+\.openai\.azure\.com(?!.*/v1/?$)", api_base))


def _known_type(value: str) -> str:
    if value in WITHDRAWN:
        raise ValueError(f"{value!r} leads nowhere any more: {WITHDRAWN[value]}")
    if value not in API_TYPES:
        raise ValueError(f"there is no {value!r}. Allowed: {', '.join(sorted(API_TYPES))}")
    return value


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s@?#]", value):
        raise ValueError(f"{value!r} was given; it should be an address that begins with http:// or https://")
    _ = parts.port  # raises ValueError where it is none
    return value


Key: TypeAlias = Annotated[SecretStr | None, BeforeValidator(_plain_key), BeforeValidator(from_environment)]
Base: TypeAlias = Annotated[str, AfterValidator(_address)]


class Address(NamedTuple):
    """An address as users write it, taken apart: where OpenAI's routes begin is not always `/v1`."""

    url: str
    api_path: str

    @classmethod
    def read(cls, base: str) -> "Address":
        parts = urlsplit(base)
        host = _EVERYWHERE.get(parts.hostname or "", "")
        netloc = parts.netloc
        if host:
            netloc = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
        origin = f"{parts.scheme}://{netloc}"
        path = _ROUTES.sub("", re.sub(r"/{2,}", "/", parts.path).rstrip("/"))
        if not path:
            home = home_of(netloc)
            path = urlsplit(home.base or "").path if home else "/v1"
        if path.endswith("/v1"):
            return cls(origin + path.removesuffix("/v1"), "/v1")
        return cls(origin + path, "")


class EndpointEntry(BaseModel):
    """One model of a register file."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=())

    model_name: ModelName = Field(description="what the provider calls the model")
    api_type: Annotated[str, AfterValidator(_known_type)] = Field("openai", description="what is spoken there")
    api_base: Base | None = Field(None, description="address; the provider's own if left out")
    api_key: Key = Field(None, description="the key, env:NAME, or 'Empty' for none")
    anony_only: bool = Field(False, description="battles may draw it, but lists do not show it")
    text_arena: bool = Field(True, alias="text-arena", description="whether it takes part in battles of text")
    vision_arena: bool = Field(
        False, alias="vision-arena", description="whether it takes part in battles with pictures"
    )
    recommended_config: RecommendedConfig | None = Field(None, description="sampling for battles")
    custom_system_prompt: bool = Field(False, description="whether it keeps its own system prompt in battles")
    fixed_temperature: float | None = Field(None, description="temperature for battles")
    folder_id: str | None = Field(None, description="yandexgpt: the folder the model is in")
    project: str | None = Field(None, description="on Vertex: the project")
    location: str | None = Field(None, description="on Vertex: the region")
    region: str | None = Field(None, description="bedrock: the region")
    api_version: str | None = Field(None, description="azure: the version of its API")
    context_length: PositiveInt | None = Field(None, description="tokens one request may use; as the provider allows")
    slots: PositiveInt = Field(64, description="requests sent there at the same time")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any, info: ValidationInfo) -> Any:  # Any: what stood in the file
        if not isinstance(given, dict):
            return given
        entry = {"api_type": "openai", **given}
        if entry["api_type"] == "openai" and _is_old_azure(entry.get("api_base")):
            entry["api_type"] = "azure"
        kind = API_TYPES.get(str(entry["api_type"]))
        if kind is None:
            return given
        for name, variables in kind.environment.items():
            is_for_them = name != "api_key" or kind.is_at_home(entry.get("api_base"))
            if entry.get(name) is None and is_for_them:
                entry[name] = next(filter(None, map(_environ(info).get, variables)), None)
        return entry | {name: value for name, value in kind.defaults.items() if entry.get(name) is None}

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> Self:
        for name in self.kind.required:
            is_missing = getattr(self, name) is None
            if is_missing and (name != "api_key" or self.kind.is_at_home(self.api_base)):
                variables = self.kind.environment.get(name, ())
                raise ValueError(f"{name!r} is missing: give it here, or set {' or '.join(variables)}")
        return self

    @property
    def unknown_keys(self) -> list[str]:
        """Misspelt, most likely: nothing heeds them."""
        return sorted(set(self.model_extra or ()) - _OF_OLD)

    @property
    def kind(self) -> ApiType:
        return API_TYPES[self.api_type]

    @property
    def address(self) -> Address:
        own = (self.kind.base or "").format(location=self.location, region=self.region)
        address = Address.read(self.api_base or own.replace("//global-", "//"))
        if self.kind.has_openai_routes:
            return address
        return Address(re.sub(r"/(v1beta|v1|openai)$", "", address.url), "")  # the SDKs know their routes themselves

    @property
    def upstream_name(self) -> str:
        if self.api_type == "yandexgpt" and self.folder_id and "://" not in self.model_name:
            return f"gpt://{self.folder_id}/{self.model_name}"
        return self.model_name

    def announcement(self, name: str) -> Announcement:
        """As a controller, or a caller without one, is told of it."""
        recommended = self.recommended_config
        if self.fixed_temperature is not None:
            recommended = (recommended or RecommendedConfig()).model_copy(
                update={"temperature": self.fixed_temperature}
            )
        arena = ArenaPresence(
            in_text=self.text_arena,
            in_vision=self.vision_arena,
            is_anonymous_only=self.anony_only,
            keeps_system_prompt=self.custom_system_prompt,
            recommended=recommended,
        )
        served = ServedModel(
            name=name,
            upstream_name=self.upstream_name if self.upstream_name != name else None,
            context_length=self.context_length,
            engine=HOSTED,
            arena=arena,
        )
        settings = {field: getattr(self, field) or "" for field in self.kind.settings}
        return Announcement(
            url=self.address.url,
            api_path=self.address.api_path,
            api_type=self.kind.speaks,
            settings=settings,
            models=(served,),
            capacity=self.slots,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
        )

    def endpoint(self, name: str) -> Endpoint:
        worker_id = f"hosted-{blake2b(name.encode(), digest_size=6).hexdigest()}"
        return Endpoint.from_entry(WorkerEntry(worker_id=worker_id, **dict(self.announcement(name))))


_FILE: TypeAdapter[dict[ModelName, EndpointEntry]] = TypeAdapter(dict[ModelName, EndpointEntry])


def load_endpoints(path: Path, environ: Mapping[str, str] = os.environ) -> list[Endpoint]:
    """The models of a register file, ready for `Fleet.update(…, source=REGISTERED)`.

    Raises:
        SetupError: as `read_endpoint_file`.
        MissingPackage: the SDK of a provider is not installed.
    """
    return [entry.endpoint(name) for name, entry in read_endpoint_file(path, environ).items()]


def read_endpoint_file(path: Path, environ: Mapping[str, str] = os.environ) -> dict[str, EndpointEntry]:
    """
    Raises:
        SetupError: it cannot be read, or an entry is wrong; with every entry and field at fault.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read: {error}.") from None
    except json.JSONDecodeError as error:
        raise SetupError(f"{path}:{error.lineno}: this is not JSON: {error.msg}.") from None
    except ValueError as error:
        raise SetupError(f"{path}: {error}.") from None
    if not isinstance(content, dict) or not content:
        raise SetupError(f"{path}: it should be a JSON object of display names, each with an entry like {_EXAMPLE}.")
    try:
        entries = _FILE.validate_python(content, context={"environ": environ})
    except ValidationError as error:
        raise SetupError("\n".join(f"{path}: {line}" for line in _complaints(error))) from None
    for name, entry in entries.items():
        check_installed(entry.kind.speaks)
        for key in entry.unknown_keys:
            log.warning("%s: %r: there is no key %r; it is ignored", path, name, key)
    return entries


_EXAMPLE = '{"model_name": "…", "api_type": "openai", "api_base": "http://…/v1", "api_key": "env:NAME"}'
_OF_OLD = frozenset({"assistant_id", "client_name"})  # of types that are gone, or of SDKs that are not used


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, _ in pairs if [other for other, _ in pairs].count(key) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return dict(pairs)


def _complaints(error: ValidationError) -> Iterable[str]:
    """Which entry, which field, what is wrong; never the value of a key."""
    for details in error.errors(include_url=False):
        entry, *fields = map(str, details["loc"])
        if details["type"] == "missing":
            yield f"{entry!r}: {fields[-1]!r} is missing"
            continue
        message = details["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        yield ": ".join([repr(entry), *fields, message])
