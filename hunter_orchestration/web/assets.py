"""The mini UI's files: read once, named by their content, compressed once.

Every file is served below ``/static/<version>/`` where the version is a hash over all of them, so a browser keeps
them for ever and relative imports between modules need no rewriting. ``index.html`` writes ``/static/…`` and is sent
with the version filled in; it is itself never kept without asking.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import threading
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_NOT_SERVED = frozenset({"node_modules", "tests"})
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"


def default_folder() -> Path:
    """``mini-ui`` beside the package, or in the current directory."""
    beside = Path(__file__).resolve().parents[2] / "mini-ui"
    return beside if beside.is_dir() else Path.cwd() / "mini-ui"


@dataclass(frozen=True, slots=True)
class File:
    """A served file."""

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str


class Assets:
    """The files of a folder.

    Args:
        folder: where they are; a missing folder serves a page that says so.
        watch: look for changed files on each page load, for whoever works on the page.
    """

    def __init__(self, folder: Path, *, watch: bool = False) -> None:
        self.folder, self._watch = folder, watch
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self.version = ""
        self._files: dict[str, File] = {}
        self._load()

    def page(self, request: Request) -> Response:
        """``index.html``, whatever the address: the page reads it itself."""
        if self._watch:
            self._load()
        found = self._files.get("index.html")
        if found is None:
            return Response("The mini UI is not installed beside this server.", 503, media_type="text/plain")
        return _send(request, found, _ASK)

    def file(self, request: Request, path: str) -> Response | None:
        """A file by its path below ``/static/``, with or without the version; ``None`` when there is none."""
        version, _, rest = path.partition("/")
        if version == self.version and rest in self._files:
            return _send(request, self._files[rest], _FOREVER)
        if path in self._files:
            return _send(request, self._files[path], _ASK)
        # A page opened before an update asks for its old version once more; it gets today's file, not kept.
        if rest in self._files and len(version) == len(self.version):
            return _send(request, self._files[rest], _ASK)
        return None

    def _load(self) -> None:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file() and self._serves(path))
        stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
        with self._lock:
            if stamp == self._stamp and self._files:
                return
            bodies = {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}
            hashed = hashlib.sha256()
            for name, body in bodies.items():
                hashed.update(name.encode() + b"\0" + body + b"\0")
            self.version = hashed.hexdigest()[:16]
            if "index.html" in bodies:
                bodies["index.html"] = bodies["index.html"].replace(b"/static/", f"/static/{self.version}/".encode())
            self._files = {name: _file(name, body) for name, body in bodies.items()}
            self._stamp = stamp

    def _serves(self, path: Path) -> bool:
        parts = path.relative_to(self.folder).parts
        return not any(part.startswith(".") or part in _NOT_SERVED for part in parts)


def _file(name: str, body: bytes) -> File:
    media_type = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = gzip.compress(body, 9, mtime=0)
    return File(
        body, packed if len(packed) < len(body) else None, media_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    )


def _send(request: Request, file: File, caching: str) -> Response:
    headers = {"Cache-Control": caching, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)
