"""What the loaded model is like: asked of the running server once, then fixed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import Feature
from fastchat.engines.llamacpp.server import LlamaServer


@dataclass(frozen=True, slots=True)
class Model:
    context_length: int
    slots: int
    vocabulary: int
    embedding_size: int
    bos: str  # the text that begins a document; may be empty
    has_template: bool
    knows_tools: bool  # its template describes functions and shows calls
    knows_system: bool
    fills_gaps: bool
    sees: bool
    adapters: Sequence[str]

    def check_tokens(self, tokens: Iterable[int], *, param: str) -> None:
        """
        Raises:
            InvalidRequest: an id is none of this model's. The server would take its lower 32 bits for one.
        """
        for token in tokens:
            if not 0 <= token < self.vocabulary:
                raise InvalidRequest(f"This model has no token {token}.", param=param)

    @property
    def features(self) -> frozenset[Feature]:
        able: dict[Feature, bool] = {
            "chat": self.has_template,
            "tools": self.has_template,
            "infill": self.fills_gaps,
            "vision": self.sees,
            "adapters": bool(self.adapters),
        }
        always: tuple[Feature, ...] = ("completions", "embeddings", "logprobs", "json_schema")
        return frozenset(always) | {feature for feature, is_there in able.items() if is_there}


async def survey(server: LlamaServer, *, has_template: bool, adapters: Sequence[str]) -> Model:
    props = await server.get("/props")
    meta = (await server.get("/v1/models"))["data"][0]["meta"]
    able: Mapping[str, Any] = props["chat_template_caps"]
    return Model(
        context_length=props["default_generation_settings"]["n_ctx"],
        slots=props["total_slots"],
        vocabulary=meta["n_vocab"],
        embedding_size=meta["n_embd"],
        bos=props["bos_token"],
        has_template=has_template,
        knows_tools=able["supports_tools"] and able["supports_tool_calls"],
        knows_system=able["supports_system_role"],
        fills_gaps=await _fills_gaps(server),
        sees=props["modalities"]["vision"],
        adapters=tuple(adapters),
    )


async def _fills_gaps(server: LlamaServer) -> bool:
    """Nothing lists the tokens that filling a gap needs, some of which llama.cpp finds by their name; so try."""
    try:
        await server.post("/infill", {"input_prefix": "a", "input_suffix": "b", "n_predict": 1})
    except InvalidRequest:
        return False
    return True
