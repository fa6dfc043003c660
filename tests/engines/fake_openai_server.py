"""A stand-in for vLLM and its like, as a program: it speaks as much of OpenAI's API as its launcher asks for.

What it does is steered by files in a folder, so that a test can change it while it runs: `cold` and `unwell` spoil its
health, `slow` holds answers back. Standard library only: it starts in a moment, and in any interpreter.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: argparse.Namespace
    running = 0

    def do_GET(self) -> None:
        steering: Path = self.options.steering
        if self.path == "/health":
            self._reply({}, 503 if (steering / "cold").exists() or (steering / "unwell").exists() else 200)
        elif self.path == "/metrics":
            gauge = 'vllm:num_requests_running{engine="0"}'
            self._reply(f"# HELP x\n{gauge} {Handler.running}.0\nvllm:num_requests_waiting 0.0\n")
        elif self._is_allowed():
            names = self.options.served_model_name or ["its-own-name"]
            cards: list[dict[str, Any]] = [{"id": name, "max_model_len": 777, "parent": None} for name in names]
            cards += [{"id": entry.partition("=")[0], "parent": names[0]} for entry in self.options.lora_modules]
            self._reply({"data": cards})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self._is_allowed():
            return
        Handler.running += 1
        while (self.options.steering / "slow").exists():
            threading.Event().wait(0.02)
        message = {"role": "assistant", "content": f"{body['model']} says hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
        reply = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
        self._reply(reply | {"usage": usage})
        Handler.running -= 1

    def _is_allowed(self) -> bool:
        key = os.environ.get("VLLM_API_KEY")
        if key and self.headers["authorization"] != f"Bearer {key}":
            self._reply({"error": {"message": "no key"}}, 401)
            return False
        return True

    def _reply(self, content: object, status: int = 200) -> None:
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def install_as_vllm(folder: Path) -> None:
    """Make a package `vllm` of this file, to be found by PYTHONPATH."""
    module = folder / "vllm" / "entrypoints" / "cli" / "main.py"
    module.parent.mkdir(parents=True)
    for package in (folder / "vllm", folder / "vllm" / "entrypoints", module.parent):
        (package / "__init__.py").touch()
    module.write_text(Path(__file__).read_text())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", nargs="*")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name", nargs="+", default=[])
    parser.add_argument("--lora-modules", nargs="+", default=[])
    parser.add_argument("--steering", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--die-saying", help="end at once with code 1")
    parser.add_argument("--with-helper", action="store_true", help="start a process of its own that ignores signals")
    options, others = parser.parse_known_args()
    if unknown := [word for word in others if word.startswith("--refused")]:
        parser.error(f"unrecognized arguments: {unknown[0]}")
    print("told:", json.dumps(sys.argv[1:]), flush=True)
    secrets = sorted(name for name in os.environ if name.startswith("FASTCHAT_"))
    print("inherited:", json.dumps(secrets), flush=True)
    if options.die_saying:
        print(options.die_saying, flush=True)
        raise SystemExit(1)
    if options.with_helper:
        program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        helper = subprocess.Popen([sys.executable, "-c", program])
        print("helper:", helper.pid, flush=True)
    Handler.options = options
    ThreadingHTTPServer((options.host, options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
