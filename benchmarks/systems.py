"""A controller, workers and a gateway of ours, brought up as separate processes."""

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.servers import Server, Servers, fastchat

SCRIPTED = "scripted"  # the model path of the scripted engine, and its model's name


@dataclass(frozen=True, slots=True)
class System:
    controller: Server
    workers: tuple[Server, ...]
    gateway: Server

    @property
    def chat_url(self) -> str:
        return f"{self.gateway.url}/v1/chat/completions"

    @property
    def pids(self) -> list[int]:
        return [pid for server in (self.controller, *self.workers, self.gateway) for pid in server.pids]


def bring_up(servers: Servers, workers: Sequence[Sequence[str]], *, policy: str = "least_loaded") -> System:
    """`workers` holds the flags of each. Returns when the gateway knows them all."""
    controller = servers.start("controller", fastchat("controller", "--dispatch-method", policy), ready="/health")
    register = ("--controller-address", controller.url)
    started = [
        servers.start(f"worker-{number}", fastchat("worker", *flags, *register), ready=None)
        for number, flags in enumerate(workers)
    ]
    for worker in started:
        worker.wait_ready("/health")
    while _registered(controller) < len(started):
        time.sleep(0.02)
    gateway = servers.start("gateway", fastchat("api", *register), ready="/ready")
    return System(controller, tuple(started), gateway)


def _registered(controller: Server) -> int:
    with urllib.request.urlopen(f"{controller.url}/health", timeout=5) as reply:
        workers: int = json.load(reply)["workers"]
    return workers


def scripted(script: Mapping[str, Any], *, slots: int, names: str = SCRIPTED) -> list[str]:
    """Flags of a worker that plays a script."""
    flags = ["--model-path", SCRIPTED, "--model-names", names, "--engine-args", json.dumps(script)]
    # More context than anybody uses: the pace is what is measured, not the room.
    return [*flags, "--limit-worker-concurrency", str(slots), "--context-length", "1000000"]
