"""A hub on loopback that speaks as much of the real one's HTTP as `huggingface_hub` needs."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)  # repository → file → content
    gated: set[str] = field(default_factory=set)
    token: str = "hf_secret"
    break_at: dict[str, int] = field(default_factory=dict)  # file → the connection ends once after so many bytes
    spoilt: set[str] = field(default_factory=set)  # files that come with other bytes than promised
    requests: list[str] = field(default_factory=list)  # "METHOD path" and the range asked for

    @contextmanager
    def running(self) -> Iterator["FakeHub"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def downloads(self) -> list[str]:
        return [request for request in self.requests if request.startswith("GET") and "/resolve/" in request]


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            wanted = self.headers.get("Range", "")
            hub.requests.append(" ".join(filter(None, (self.command, self.path, wanted))))
            path = self.path.partition("?")[0]
            if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
                self._describe(*match.groups())
            elif match := re.fullmatch(r"/(?:datasets/|spaces/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._file(match[1], match[3], wanted)
            else:
                self._error(404, "EntryNotFound")

        def _describe(self, repo: str, what: str, revision: str) -> None:
            if not self._may_see(repo):
                return
            if revision not in ("main", COMMIT):
                self._error(404, "RevisionNotFound")
                return
            entries = [_entry(name, content) for name, content in hub.files[repo].items()]
            if what == "tree":
                self._json([{"type": "file", "oid": "1" * 40, **entry} for entry in entries])
                return
            siblings = [{"rfilename": entry["path"], "blobId": "1" * 40, **entry} for entry in entries]
            for sibling in siblings:
                if "lfs" in sibling:
                    sibling["lfs"] = {**sibling["lfs"], "sha256": sibling["lfs"]["oid"]}
            self._json({"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "private": False})

        def _file(self, repo: str, name: str, wanted: str) -> None:
            if not self._may_see(repo):
                return
            if name not in hub.files[repo]:
                self._error(404, "EntryNotFound")
                return
            content = hub.files[repo][name]
            digest = _entry(name, content).get("lfs", {}).get("oid", hashlib.sha1(content).hexdigest())
            if name in hub.spoilt:
                content = content[::-1]
            start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("ETag", f'"{digest}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "GET":
                stop = hub.break_at.pop(name, None)
                self.wfile.write(content[start:stop])
                if stop is not None:
                    self.close_connection = True

        def _may_see(self, repo: str) -> bool:
            if repo not in hub.files:
                self._error(404, "RepoNotFound")
            elif repo in hub.gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self._error(401, "GatedRepo")
            else:
                return True
            return False

        def _json(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def _error(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def _entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": name, "size": len(content)}
    if name.endswith((".safetensors", ".bin", ".gguf")):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
