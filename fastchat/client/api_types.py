"""The values of `api_type` in a register file: what is spoken there, where, and what else has to be known.

One row a type. `environment` says from which variables a field is taken that the entry leaves out; a key only where the
entry keeps to the provider's own address, so that no key is ever sent to somebody else's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PROJECT = ("GOOGLE_CLOUD_PROJECT", "GCP_PROJECT_ID", "ANTHROPIC_VERTEX_PROJECT_ID")
_LOCATION = ("GOOGLE_CLOUD_LOCATION", "GCP_LOCATION", "CLOUD_ML_REGION")
# Azure's are at addresses of its own.
_OPENAI_ROUTES = ("openai", "openai_no_stream", "openai_o1", "cohere")


@dataclass(frozen=True, slots=True)
class ApiType:
    speaks: str = "openai"  # a name in `providers/registry.py`, or `openai`: nothing is translated
    base: str | None = None  # the provider's own address; may name fields of the entry in braces
    domain: str = ""  # where the provider's own addresses end, if there are many
    environment: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()  # fields that the translator wants to know

    @property
    def has_openai_routes(self) -> bool:
        return self.speaks in _OPENAI_ROUTES

    def is_at_home(self, api_base: str | None) -> bool:
        """Whether the entry means an address of the provider itself."""
        if not api_base:
            return True
        given, own = urlsplit(api_base), urlsplit(self.base or "")
        is_own = given.netloc == own.netloc or (bool(self.domain) and (given.hostname or "").endswith(self.domain))
        return given.scheme == "https" and is_own


def _compatible(base: str, *key_names: str) -> ApiType:
    """A provider whose API is OpenAI's."""
    return ApiType(base=base, environment={"api_key": key_names}, required=("api_key",))


_OPENAI = "https://api.openai.com/v1"
_GEMINI = "https://generativelanguage.googleapis.com"
_AT_VERTEX = {"project": _PROJECT, "location": _LOCATION}


def _translated(speaks: str, base: str, *key_names: str) -> ApiType:
    return ApiType(speaks, base, environment={"api_key": key_names}, required=("api_key",))


API_TYPES: Mapping[str, ApiType] = {
    "openai": _compatible(_OPENAI, "OPENAI_API_KEY"),
    "openai_no_stream": _translated("openai_no_stream", _OPENAI, "OPENAI_API_KEY"),
    "openai_o1": _translated("openai_o1", _OPENAI, "OPENAI_API_KEY"),
    "azure": ApiType(
        "azure",
        domain=".azure.com",
        environment={"api_base": ("AZURE_OPENAI_ENDPOINT",), "api_key": ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_KEY")},
        defaults={"api_version": "2024-10-21"},
        required=("api_base", "api_key"),
        settings=("api_version",),
    ),
    "anthropic": _translated("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "anthropic_message": _translated("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    "anthropic_message_vertex": ApiType(
        "anthropic_vertex",
        "https://{location}-aiplatform.googleapis.com",
        ".googleapis.com",
        _AT_VERTEX,
        {"location": "global"},
        required=("project",),
        settings=("project", "location"),
    ),
    "gemini": _translated("gemini", _GEMINI, "GEMINI_API_KEY", "GOOGLE_API_KEY", "GENAI_API_KEY"),
    "gemini_no_stream": _translated("gemini_no_stream", _GEMINI, "GEMINI_API_KEY", "GOOGLE_API_KEY", "GENAI_API_KEY"),
    "vertex": ApiType(
        "vertex",
        "https://{location}-aiplatform.googleapis.com",
        ".googleapis.com",
        _AT_VERTEX,
        {"location": "global"},
        required=("project",),
        settings=("project", "location"),
    ),
    "bedrock": ApiType(
        "bedrock",
        "https://bedrock-runtime.{region}.amazonaws.com",
        ".amazonaws.com",
        {"api_key": ("AWS_BEARER_TOKEN_BEDROCK",), "region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
        {"region": "us-east-1"},
        settings=("region",),
    ),
    "yandexgpt": ApiType(
        base="https://llm.api.cloud.yandex.net/v1",
        environment={"api_key": ("YANDEXGPT_API_KEY",), "folder_id": ("YANDEX_FOLDER_ID",)},
        required=("api_key",),
    ),
    "cerebras": _compatible("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "cohere": _translated("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": _compatible("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "fireworks": _compatible("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    "groq": _compatible("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": _compatible("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "moonshot": _compatible("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "nvidia": _compatible("https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    "openrouter": _compatible("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "perplexity": _compatible("https://api.perplexity.ai", "PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    "reka": _compatible("https://api.reka.ai/v1", "REKA_API_KEY"),
    "together": _compatible("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "xai": _compatible("https://api.x.ai/v1", "XAI_API_KEY"),
    "zhipu": _compatible("https://open.bigmodel.cn/api/paas/v4", "ZHIPU_API_KEY", "ZHIPUAI_API_KEY"),
}

# Types of FastChat's that lead nowhere any more, and what to write instead.
WITHDRAWN: Mapping[str, str] = {
    "ai2": "its server was never public. Models of AI2 at another provider are api_type 'openai' with its api_base",
    "bard": "Bard has become Gemini: use 'gemini'",
    "column": "its server was private. If yours speaks OpenAI's API, use 'openai' with its api_base",
    "metagen": "its server was private. If yours speaks OpenAI's API, use 'openai' with its api_base",
    "openai_assistant": "OpenAI has closed the Assistants API. Use 'openai' with the name of the model",
    "p2l": "the router speaks OpenAI's API: use 'openai' with its api_base",
    "palm": "PaLM is closed: use 'gemini', or 'vertex' with a project",
}


def home_of(netloc: str) -> ApiType | None:
    """The provider whose own API lives at this host and is OpenAI's."""
    own = (kind for kind in API_TYPES.values() if kind.base and kind.has_openai_routes)
    return next((kind for kind in own if urlsplit(kind.base).netloc == netloc), None)
