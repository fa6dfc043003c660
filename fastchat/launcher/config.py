"""What `fastchat up` runs, as it stands in fastchat.yaml. Loading the file, with line numbers, is `config_file.py`.

Two things come from outside while a value is checked, through pydantic's context: `folder`, against which relative
paths are read, and `environ`, from which `env:NAME` is taken.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
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

from fastchat.arena.config import ArenaConfig, Slug
from fastchat.client.endpoint_file import EndpointEntry, from_environment
from fastchat.core.places import LocalFile, LocalPath
from fastchat.engines.registry import DataType, Device, Quantization
from fastchat.model import builtin
from fastchat.model.sources import default_name
from fastchat.protocol.control import ModelName, PolicyName
from fastchat.worker.models import SAMPLING_NAMES


class Surroundings(TypedDict):
    """The context a configuration is checked in."""

    folder: Path
    environ: Mapping[str, str]


def _file_or_name(value: str, info: ValidationInfo) -> str:
    if not info.context or value in builtin.ALIASES:
        return value
    file = info.context["folder"] / Path(value).expanduser()
    return str(file) if file.exists() else value  # what is no file here is a name: of an engine, or on a hub


def _web_address(value: str) -> str:
    if not re.match(r"https?://[^\s/]", value):
        raise ValueError("it should be an address that begins with http:// or https://")
    return value


def _of_sampling(values: dict[str, float]) -> dict[str, float]:
    if set(values) - set(SAMPLING_NAMES):
        raise ValueError(f"its keys should be of: {', '.join(SAMPLING_NAMES)}")
    return values


def _one_name(value: str) -> str:
    if "," in value:
        raise ValueError("a name holds no comma; write a list of names")
    return value


Name: TypeAlias = Annotated[ModelName, AfterValidator(_one_name)]
Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(from_environment)]
FileOrName: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_file_or_name)]
SamplingDefaults: TypeAlias = Annotated[dict[str, float], AfterValidator(_of_sampling)]
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
    num_gpus: PositiveInt | None = Field(None, description="how many of them the weights are spread over; one")
    max_gpu_memory: str | None = Field(None, description="memory for weights on each GPU, as 8GiB")
    device: Device | None = Field(None, description="what computes; the best there is")
    dtype: DataType | None = Field(None, description="number format of the weights; what suits model and device")
    load_8bit: bool = Field(False, description="whether the weights are rounded to 8 bits while they are loaded")
    load_4bit: bool = Field(False, description="whether the weights are rounded to 4 bits while they are loaded")
    cpu_offloading: bool = Field(False, description="whether weights that do not fit on the GPU stay in memory")
    revision: str = Field("main", min_length=1, description="branch, tag or commit of a model on the hub")
    trust_remote_code: bool = Field(
        False, description="whether Python that comes with the model is run; only for authors you trust"
    )
    draft_model: FileOrName | None = Field(None, description="a small model that proposes tokens; none")
    conv_template: FileOrName | None = Field(
        None, description="prompt format, by its name or the path of a Jinja file; the model's own"
    )
    default_sampling: SamplingDefaults = Field(
        {}, description="sampling of requests that do not say, by OpenAI's names; OpenAI's"
    )
    engine_args: dict[str, Any] = Field({}, description="the engine's own settings")  # Any: each engine has its own
    adapters: dict[ModelName, FileOrName] = Field({}, description="LoRA adapters: the name clients use → its file")

    @model_validator(mode="after")
    def _fraction_of_something(self) -> Self:
        if self.gpu_memory_fraction is not None and not self.gpus:
            raise ValueError("gpu_memory_fraction is a share of each GPU in 'gpus', which is empty")
        return self

    @model_validator(mode="after")
    def _enough_gpus(self) -> Self:
        if self.gpus and self.num_gpus and self.num_gpus > len(self.gpus):
            raise ValueError(f"num_gpus is {self.num_gpus}, but 'gpus' names only {len(self.gpus)}")
        return self

    @model_validator(mode="after")
    def _rounded_once(self) -> Self:
        if self.load_8bit and self.load_4bit:
            raise ValueError("load_8bit and load_4bit are both true; choose one")
        return self

    @property
    def quantization(self) -> Quantization | None:
        return "int8" if self.load_8bit else "int4" if self.load_4bit else None

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


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """An entry of `endpoints`, under the name it stands there."""

    name: str
    entry: EndpointEntry

    @property
    def model(self) -> str:
        return self.entry.model_name

    @property
    def served_names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def base_url(self) -> str:
        return self.entry.address.url


def _kind(entry: object) -> str:
    hosted = "endpoint" in entry if isinstance(entry, Mapping) else isinstance(entry, HostedModel)
    return "hosted" if hosted else "local"


ModelEntry: TypeAlias = Annotated[
    Annotated[LocalModel, Tag("local")] | Annotated[HostedModel, Tag("hosted")], Discriminator(_kind)
]


# What can be served, wherever it was asked for.
AnyModel: TypeAlias = LocalModel | HostedModel | RegisteredModel


class Config(_Section):
    """Everything `fastchat up` runs on one machine."""

    endpoints: dict[Name, EndpointEntry] = Field(
        {}, description="models that others serve: display name → an entry as in FastChat's register file"
    )
    models: tuple[ModelEntry, ...] = Field(
        (LocalModel(model="builtin"),),
        description="what else is served; the built-in model if left out, and nothing where there are endpoints",
    )
    host: str = Field("127.0.0.1", description="address the API and the web page listen on")
    port: int = Field(8000, ge=0, le=65535, description="port of the API and the web page; 0 takes any free one")
    controller_port: int = Field(0, ge=0, le=65535, description="loopback port of the controller; 0: any free one")
    web: bool = Field(True, description="whether there is a web page")
    api_keys: tuple[Secret, ...] = Field((), description="keys that clients must send one of, each itself or env:NAME")
    api_keys_file: LocalPath | None = Field(None, description="a file of keys made by `fastchat keys new`, one a line")
    log_dir: LocalPath | None = Field(None, description="where each process writes its log; the run directory if empty")
    arenas: dict[Slug, ArenaConfig] = Field({}, description="arenas by name; 'default' is the one without a name")
    data_dir: LocalPath | None = Field(
        None, description="where conversations and votes are kept; the user's data folder"
    )
    database_url: Secret | None = Field(
        None, description="PostgreSQL instead of a file in data_dir, as postgresql://…, or env:NAME"
    )
    logins_file: LocalFile | None = Field(None, description="USER:PASSWORD lines; the web page then asks for a login")
    admins: tuple[str, ...] = Field((), description="logins of those who may administer the arenas")
    trusted_proxies: tuple[str, ...] = Field(
        (), description="networks of proxies in front, whose word on a client's address counts"
    )
    policy: PolicyName = Field("least_loaded", description="how a worker is chosen for a request")

    @model_validator(mode="before")
    @classmethod
    def _endpoints_are_enough(cls, given: Any) -> Any:  # Any: what stood in the file
        is_alone = isinstance(given, dict) and given.get("endpoints") and "models" not in given
        return {**given, "models": ()} if is_alone else given

    @field_validator("endpoints")
    @classmethod
    def _keys_are_known(cls, endpoints: dict[str, EndpointEntry]) -> dict[str, EndpointEntry]:
        # A register file may be somebody else's and gets away with a warning; this file is ours.
        for name, entry in endpoints.items():
            if entry.unknown_keys:
                raise ValueError(f"{name!r}: there is no key {entry.unknown_keys[0]!r}")
        return endpoints

    @field_validator("models")
    @classmethod
    def _something_is_served(cls, models: tuple[ModelEntry, ...], info: ValidationInfo) -> tuple[ModelEntry, ...]:
        if not models and info.data.get("endpoints") == {}:
            raise ValueError("it should name at least one model, or be left out for the built-in one")
        return models

    @property
    def served(self) -> tuple[AnyModel, ...]:
        """All that is served: `models`, then `endpoints`."""
        return (*self.models, *(RegisteredModel(name, entry) for name, entry in self.endpoints.items()))
