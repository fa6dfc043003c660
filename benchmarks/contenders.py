"""Ways from a client to the scripted worker, each brought up as its users would."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.environments import FASTCHAT, LITELLM
from benchmarks.servers import PORT, Server, Servers
from benchmarks.systems import SCRIPTED, bring_up, scripted

WORKER, PIPE, GATEWAY = "worker alone", "bare ASGI pipe", "fastchat api"
OLD_FASTCHAT, LITELLM_PROXY = "FastChat 0.2.36", "LiteLLM proxy"
STREAMS = 1024  # more than any level opens


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    url: str
    servers: tuple[Server, ...]  # their CPU time is its cost
    starts_per_s: float = 400  # streams it can begin while others run

    @property
    def pids(self) -> list[int]:
        return [pid for server in self.servers for pid in server.pids]


def bring_up_all(servers: Servers) -> list[Contender]:
    """All of them that are installed, the worker first: it is what the others are measured against."""
    system = bring_up(servers, [scripted({"reply": "word" * 16, "tokens": 16}, slots=STREAMS)])
    (worker,) = system.workers
    command = [sys.executable, "-m", "benchmarks.peers.pipe", PORT, worker.url]
    pipe = servers.start("pipe", command, ready="/health")
    return [
        Contender(WORKER, worker.url, (worker,)),
        Contender(PIPE, pipe.url, (pipe,)),
        Contender(GATEWAY, system.gateway.url, (system.gateway, system.controller)),
        *([_old_fastchat(servers)] if FASTCHAT.python.exists() else []),
        *([_litellm(servers, worker)] if LITELLM.python.exists() else []),
    ]


def _old_fastchat(servers: Servers) -> Contender:
    # It writes its logs where it stands; and it must not find our package of the same name there.
    folder = servers.folder / "old-fastchat"
    folder.mkdir()
    serve = [str(FASTCHAT.python), "-m"]
    address = ["--host", "127.0.0.1", "--port", PORT]
    controller = servers.start(
        "old-controller", [*serve, "fastchat.serve.controller", *address], ready="/test_connection", cwd=folder
    )
    stub = [sys.executable, "-m", "benchmarks.peers.fastchat_worker", PORT, controller.url]
    servers.start("old-worker", stub, ready="/")
    api = [*serve, "fastchat.serve.openai_api_server", *address, "--controller-address", controller.url]
    server = servers.start("old-api", api, ready="/v1/models", cwd=folder)
    return Contender(OLD_FASTCHAT, server.url, (server, controller), starts_per_s=50)


def _litellm(servers: Servers, worker: Server) -> Contender:
    config = servers.folder / "litellm.json"  # JSON is YAML
    target = {"model": f"openai/{SCRIPTED}", "api_base": f"{worker.url}/v1", "api_key": "EMPTY"}
    config.write_text(json.dumps({"model_list": [{"model_name": SCRIPTED, "litellm_params": target}]}))
    command = [str(LITELLM.folder / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", PORT]
    env = {
        "LITELLM_LOCAL_SCRIPTED_COST_MAP": "True",  # otherwise it asks the network for prices
        "LITELLM_TELEMETRY": "False",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # nobody here checks keys: it is on loopback
    }
    server = servers.start("litellm", command, ready="/health/liveliness", env=env, cwd=servers.folder)
    return Contender(LITELLM_PROXY, server.url, (server,), starts_per_s=30)


def body(*, tokens: int = 16, token_ms: float = 0.0, stream: bool = False) -> dict[str, Any]:
    """A request for so many tokens at this pace, told to our scripted engine by a field and to FastChat's stand-in by
    the text, since FastChat's API passes on no field it does not know."""
    script: Mapping[str, Any] = {"tokens": tokens, "token_ms": token_ms}
    asked = f"Tell me something that is tokens={tokens} token_ms={token_ms} long, please."
    messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": asked}]
    return {"model": SCRIPTED, "messages": messages, "max_tokens": tokens, "stream": stream, "scripted": script}
