"""`POST /v1/embeddings`: rows of numbers → OpenAI's list, as floats or base64."""

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import Embeddings
from fastchat.protocol.openai import EmbeddingRequest


def embedding_list(request: EmbeddingRequest, embeddings: Embeddings) -> dict[str, Any]:
    rows = [_shortened(row, request.dimensions) for row in embeddings.rows]
    encode = _base64 if request.encoding_format == "base64" else list
    data = [{"object": "embedding", "index": index, "embedding": encode(row)} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.prompt_tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _shortened(row: Sequence[float], dimensions: int | None) -> Sequence[float]:
    """The first `dimensions` numbers, scaled to length 1 again, as OpenAI shortens its own."""
    if dimensions is None or dimensions == len(row):
        return row
    if dimensions > len(row):
        raise InvalidRequest(f"This model's embeddings have {len(row)} dimensions at most.", param="dimensions")
    length = math.sqrt(sum(value * value for value in row[:dimensions])) or 1.0
    return [value / length for value in row[:dimensions]]


def _base64(row: Sequence[float]) -> str:
    """Little-endian 32-bit floats, which OpenAI's SDK asks for unless told otherwise."""
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()
