"""The dashboard's files over HTTP: their headers, forms and tags."""

from __future__ import annotations

import gzip
import re
import urllib.error
import urllib.request
from email.message import Message

import pytest

from cluster import Coordinator


def ask(coordinator: Coordinator, path: str, **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(coordinator.url + path)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def files(coordinator: Coordinator) -> list[str]:
    page = ask(coordinator, "/")[2].decode()
    return ["/", *re.findall(r'(?:src|href)="([^"]+)"', page)]


def test_every_file_is_fenced_in_and_needs_no_token(guarded: Coordinator) -> None:
    kinds = {"": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    paths = files(guarded)
    assert len(paths) == 4
    for path in paths:
        status, headers, body = ask(guarded, path)
        assert status == 200
        assert body
        assert headers["Content-Type"].split(";")[0] == kinds[path.rpartition(".")[2] if "." in path else ""]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_nothing_inline(coordinator: Coordinator) -> None:
    page = ask(coordinator, "/")[2].decode()
    assert "<style" not in page
    assert " style=" not in page
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []


def test_files_come_compressed_to_those_who_can_read_it(coordinator: Coordinator) -> None:
    for path in files(coordinator):
        _, headers, plain = ask(coordinator, path)
        assert headers["Content-Encoding"] is None
        assert headers["Vary"] == "Accept-Encoding"
        _, headers, packed = ask(coordinator, path, Accept_Encoding="br, gzip")
        assert gzip.decompress(packed) == plain if headers["Content-Encoding"] else packed == plain
        _, headers, refused = ask(coordinator, path, Accept_Encoding="gzip;q=0")
        assert refused == plain


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_what_a_browser_has_is_not_sent_again(coordinator: Coordinator, encoding: str) -> None:
    for path in files(coordinator):
        _, headers, _ = ask(coordinator, path, Accept_Encoding=encoding)
        status, again, body = ask(coordinator, path, Accept_Encoding=encoding, If_None_Match=headers["ETag"])
        assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
        assert ask(coordinator, path, Accept_Encoding=encoding, If_None_Match='"other"')[0] == 200
        kept = "immutable" in headers["Cache-Control"]
        assert kept == path.startswith("/assets/")


def test_a_path_beside_the_files_is_not_found(coordinator: Coordinator) -> None:
    for path in ("/index.html", "/assets/", "/assets/../", "//", "/%2e", "/favicon.svg/"):
        assert ask(coordinator, path)[0] in (400, 404), path
