"""What `fastchat up` runs, as it stands in fastchat.yaml. Loading the file, with line numbers, is `config_file.py`.

Two things come from outside while a value is checked, through pydantic's context: `folder`, against which relative
paths are read, and `environ`, from which `env:NAME` is taken.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias, TypedDict

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fastchat.model import builtin
from fastchat.model.sources import default_name
from fastchat.protocol.control import ModelName, PolicyName


class Surroundings(TypedDict):
    """The context a configuration is checked in."""

    folder: Path
    environ: Mapping[str, str]


def _from_environment(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str) or not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    environ = info.context["environ"] if info.context else os.environ
    if not environ.get(name):
        raise ValueError(f"the environment variable {name} is not set")
    return environ[name]


def _in_folder(value: Path, info: ValidationInfo) -> Path:
    return info.context["folder"] / value.expanduser() if info.context else value


def _file_or_name(value: str, info: ValidationInfo) -> str:
    if not info.context or value in builtin.ALIASES:
        return value
    file = info.context["folder"] / Path(value).expanduser()
    return str(file) if file.exists() else value  # what is no file here is a name: of an engine, or on a hub


def _web_address(value: str) -> str:
    if not re.match(r"https?://[^\s/]", value):
        raise ValueError("it should be an address that begins with http:// or https://")
    return value


def _one_name(value: str) -> str:
    if "," in value:
        raise ValueError("a name holds no comma; write a list of names")
    return value


Name: TypeAlias = Annotated[ModelName, AfterValidator(_one_name)]
Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(_from_environment)]
LocalPath: TypeAlias = Annotated[Path, AfterValidator(_in_folder)]
FileOrName: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_file_or_name)]
WebAddress: TypeAlias = Annotated[str, AfterValidator(_web_address)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class LocalModel(_Section):
    """A model this machine runs, in worker processes of its own."""

    model: FileOrName = Field(description="a .gguf file, 'builtin', 'scripted', or a name the engine understands")
    names: tuple[Name, ...] = Field((), description="what clients call it; the last part of the path if empty")
    engine: str = Field("auto", description="what runs it; 'auto' goes by the file")
    context_length: PositiveInt | None = Field(None, description="tokens one request may use; as the model allows")
    slots: PositiveInt | None = Field(None, description="requests answered at the same time; the engine's choice")
    replicas: PositiveInt = Field(1, description="worker processes that serve it")
    gpus: tuple[NonNegativeInt, ...] = Field((), description="the GPUs each replica sees, by number")
    gpu_memory_fraction: float | None = Field(None, gt=0, le=1, description="share of each GPU a replica may take")
    engine_args: dict[str, Any] = Field({}, description="the engine's own settings")  # Any: each engine has its own
    adapters: dict[ModelName, FileOrName] = Field({}, description="LoRA adapters: the name clients use → its file")

    @model_validator(mode="after")
    def _fraction_of_something(self) -> Self:
        if self.gpu_memory_fraction is not None and not self.gpus:
            raise ValueError("gpu_memory_fraction is a share of each GPU in 'gpus', which is empty")
        return self

    @property
    def served_names(self) -> tuple[str, ...]:
        return self.names or (default_name(self.model),)

    @property
    def worker_engine_args(self) -> dict[str, Any]:
        """`engine_args` as the engine gets them."""
        fraction = self.gpu_memory_fraction
        return self.engine_args | ({} if fraction is None else {"gpu_memory_fraction": fraction})


class HostedModel(_Section):
    """A model that somebody else runs, behind an OpenAI-compatible API."""

    endpoint: WebAddress = Field(description="base URL of the server, with or without /v1")
    model: ModelName = Field(description="what the server calls the model")
    names: tuple[Name, ...] = Field((), description="what clients call it; the server's name if empty")
    api_key: Secret | None = Field(None, description="the server's key, or env:NAME to take it from the environment")
    context_length: PositiveInt | None = Field(None, description="tokens one request may use; as the server allows")
    slots: PositiveInt = Field(64, description="requests sent there at the same time")

    @property
    def served_names(self) -> tuple[str, ...]:
        return self.names or (self.model,)

    @property
    def base_url(self) -> str:
        return self.endpoint.rstrip("/").removesuffix("/v1").rstrip("/")


def _kind(entry: object) -> str:
    hosted = "endpoint" in entry if isinstance(entry, Mapping) else isinstance(entry, HostedModel)
    return "hosted" if hosted else "local"


ModelEntry: TypeAlias = Annotated[
    Annotated[LocalModel, Tag("local")] | Annotated[HostedModel, Tag("hosted")], Discriminator(_kind)
]


class Config(_Section):
    """Everything `fastchat up` runs on one machine."""

    models: tuple[ModelEntry, ...] = Field(
        (LocalModel(model="builtin"),), description="what is served; the built-in model if left out"
    )
    host: str = Field("127.0.0.1", description="address the API and the web page listen on")
    port: int = Field(8000, ge=0, le=65535, description="port of the API and the web page; 0 takes any free one")
    controller_port: int = Field(0, ge=0, le=65535, description="loopback port of the controller; 0: any free one")
    web: bool = Field(True, description="whether there is a web page")
    api_keys: tuple[Secret, ...] = Field((), description="keys that clients must send one of, each itself or env:NAME")
    api_keys_file: LocalPath | None = Field(None, description="a file of keys made by `fastchat keys new`, one a line")
    log_dir: LocalPath | None = Field(None, description="where each process writes its log; the run directory if empty")
    policy: PolicyName = Field("least_loaded", description="how a worker is chosen for a request")

    @field_validator("models")
    @classmethod
    def _something_is_served(cls, models: tuple[ModelEntry, ...]) -> tuple[ModelEntry, ...]:
        if not models:
            raise ValueError("it should name at least one model, or be left out for the built-in one")
        return models
