"""A model hub on this machine: what huggingface_hub asks of one to push and pull a few small files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class Hub(ThreadingHTTPServer):
    """Repositories by name, commits by hash, files by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.claims: dict[str, int] = {}  # sizes it lies about
        self.downloads: list[str] = []


@contextmanager
def running_hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        path, body = self.path.partition("?")[0], self._body()
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'user'}/{asked['name']}"
            self.server.repos.setdefault(repo, {})
            return self._json({"url": f"{self.server.endpoint}/{repo}"})
        match = re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/(preupload|commit|paths-info)/(\w+)", path)
        if match is None or match[1] not in self.server.repos:
            return self._json({"error": "Repository not found"}, 404)
        repo = self.server.repos[match[1]]
        if match[2] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if match[2] == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
            repo[commit] = files
            url = f"{self.server.endpoint}/{match[1]}/commit/{commit}"
            return self._json({"success": True, "commitOid": commit, "commitUrl": url})
        if match[3] not in repo:
            return self._json({"error": "Revision not found"}, 404)
        names = parse_qs(body.decode()).get("paths", [])
        found = [
            {"type": "file", "path": n, "oid": "0" * 40, "size": self.server.claims.get(n, len(repo[match[3]][n]))}
            for n in names
            if n in repo[match[3]]
        ]
        self._json(found)

    def do_HEAD(self) -> None:
        self._resolve(send=False)

    def do_GET(self) -> None:
        self._resolve(send=True)

    def _resolve(self, send: bool) -> None:
        match = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/(\w+)/(.+)", self.path.partition("?")[0])
        content = self.server.repos.get(match[1], {}).get(match[2], {}).get(match[3]) if match else None
        if match is None or content is None:
            return self._json({"error": "Entry not found"}, 404)
        self.send_response(200)
        self.send_header("X-Repo-Commit", match[2])
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if send:
            self.server.downloads.append(match[3])
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
