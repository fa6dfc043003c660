"""The API described: an OpenAPI document made from the request models, and a page that shows it.

The page is ours because the usual viewers load their scripts from other hosts, and nothing here leaves the machine.
"""

from html import escape
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fastchat import __version__
from fastchat.protocol.openai import (
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    TokenizeRequest,
)


class Operation(NamedTuple):
    method: str
    path: str
    summary: str
    request: type[BaseModel] | None = None


OPERATIONS = (
    Operation("post", "/v1/chat/completions", "Answer a conversation.", ChatRequest),
    Operation("post", "/v1/completions", "Continue a text.", CompletionRequest),
    Operation("post", "/v1/embeddings", "Turn texts into vectors.", EmbeddingRequest),
    Operation("get", "/v1/models", "List the models."),
    Operation("get", "/v1/models/{model}", "Describe a model."),
    Operation("post", "/tokenize", "Turn a text, or messages as the model gets them, into token ids.", TokenizeRequest),
    Operation("post", "/detokenize", "Turn token ids into text.", DetokenizeRequest),
    Operation("get", "/health", "The gateway is alive. Needs no key."),
    Operation("get", "/ready", "A model answers. Needs no key."),
    Operation("get", "/metrics", "Prometheus metrics of the gateway and its workers. Needs no key."),
)

_ERRORS = {"400": "wrong request", "401": "wrong key", "404": "unknown model", "413": "too large", "429": "busy"}
_ERRORS |= {"502": "the worker failed", "503": "no worker is alive", "504": "the worker fell silent"}


def openapi_document() -> dict[str, Any]:
    requests = [(operation.request, "validation") for operation in OPERATIONS if operation.request]
    _, schemas = models_json_schema(requests, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "FastChat", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}, {}],
    }


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": operation.summary, "responses": {"200": {"description": "the answer"}}}
    described["responses"] |= {status: {"description": text} for status, text in _ERRORS.items()}
    if "{model}" in operation.path:
        described["parameters"] = [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}]
    if operation.request is not None:
        schema = {"$ref": f"#/components/schemas/{operation.request.__name__}"}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def api_page() -> str:
    sections = "".join(_section(operation) for operation in OPERATIONS)
    return _PAGE.replace("{sections}", sections).replace("{version}", escape(__version__))


def _section(operation: Operation) -> str:
    title = f"<h2><b>{operation.method.upper()}</b> <code>{escape(operation.path)}</code></h2>"
    fields = _fields(operation.request) if operation.request else ""
    return f"<section>{title}<p>{escape(operation.summary)}</p>{fields}</section>"


def _fields(request: type[BaseModel]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{'required' if field.is_required() else ''}</td></tr>"
        for name, field in request.model_fields.items()
    )
    return f"<details><summary>Fields</summary><table>{rows}</table></details>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>FastChat API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 2rem 0 .2rem; } h2 b { color: #0f766e; } p { margin: .2rem 0; }
td { padding: .1rem 1rem .1rem 0; } summary { cursor: pointer; color: #777; }
</style></head><body>
<h1>FastChat API</h1>
<p>Version {version}. OpenAI's clients work as they are: point <code>base_url</code> at <code>/v1</code> of this server.
<a href="openapi.json">openapi.json</a> has every field with its type.</p>
{sections}
</body></html>"""
