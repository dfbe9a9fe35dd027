"""Planted secrets: every route is called, also wrongly, and no secret comes out anywhere."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import sqlite3
import subprocess
import time
import urllib.parse
from typing import Any

from coordinators import DEADLINE, PROGRAM

# One for each place that a secret can stand in.
CANARIES = {
    name: f"canary-{name}-7d1f0c9a5be24e63" for name in ("operator", "node", "viewer", "user", "cluster", "database")
}


class Outputs:
    """All that the processes say, and where they said it."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def call(self, url: str, method: str, path: str, token: str = "", body: Any = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=DEADLINE)
        with contextlib.closing(connection):
            text = body if body is None or isinstance(body, str) else json.dumps(body)
            sent = {"Authorization": f"Bearer {token}"} if token else {}
            sent |= {} if body is None else {"Content-Type": "application/json"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, text, sent)
            answer = connection.getresponse()
            said = (
                "" if path.startswith("/v1/watch") and answer.status == 200 else answer.read().decode(errors="replace")
            )
            self.texts.append((f"{method} {path}", f"{answer.status} {answer.headers}{said}"))
            return answer.status, said


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def coordinator_file(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "coordinator.yaml"
    tokens = [
        {"name": f"t-{role}", "role": role, "token": f"${{env:CANARY_{role.upper()}}}"}
        for role in ("operator", "viewer")
    ]
    tokens.append({"name": "t-node", "role": "node", "token": f"${{file:{folder / 'node-token'}}}"})
    (folder / "node-token").write_text(CANARIES["node"] + "\n")
    state = {"listen": "127.0.0.1:0", "state": str(folder / "coordinator.db")}
    path.write_text(json.dumps({"coordinator": {**state, "staged": False, "tokens": tokens}}))
    return path


def node_file(folder: pathlib.Path, url: str) -> pathlib.Path:
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as shop:
        shop.execute("create table t (i integer)")
        shop.commit()
    pools = [
        {"id": "shop", "type": "sqlite", "config": {"database": str(folder / "shop.db")}},
        {
            "id": "down",
            "type": "postgresql",
            "config": {
                "host": "127.0.0.1",
                "port": 1,
                "database": "x",
                "username": "app",
                "password": "${env:CANARY_DATABASE}",
            },
        },
    ]
    path = folder / "node.yaml"
    config = {
        "deployment": {
            "mode": "coordinated",
            "coordinator": {"endpoint": url, "token": "${env:CANARY_NODE}"},
            "node": {"id": "n1", "state_dir": str(folder)},
            "pools": pools,
        },
        "server": {
            "flight": {"listen": "127.0.0.1:0"},
            "admin": {"listen": "127.0.0.1:0"},
            "users": [{"name": "ada", "password": "${env:CANARY_USER}"}],
            "secret": "${env:CANARY_CLUSTER}",
        },
    }
    path.write_text(json.dumps(config))
    return path


def use_every_route(outputs: Outputs, url: str) -> None:
    """As its document lists them, by everybody, whole and broken."""
    _, text = outputs.call(url, "GET", "/v1/openapi.json")
    document = json.loads(text)
    values = {"id": "n1", "scope": "default", "version": "1", "name": "ci"}
    who = {"operator": CANARIES["operator"], "viewer": CANARIES["viewer"], "node": CANARIES["node"], "nobody": "wrong"}
    plain = {"deployment": {"pools": [{"id": "p", "type": "postgresql"}]}}
    plain["deployment"]["pools"][0]["config"] = {  # type: ignore[index]
        "host": "h",
        "database": "d",
        "username": "u",
        "password": CANARIES["database"],
    }
    bodies = [
        None,
        "{",
        {"token": CANARIES["operator"]},
        {"content": json.dumps(plain)},
        {"name": "ci", "role": "viewer"},
    ]
    for path, methods in document["paths"].items():
        for name, value in values.items():
            path = path.replace("{" + name + "}", value)
        for method in methods:
            if method not in ("get", "put", "post", "delete") or path == "/v1/backup":
                continue
            for token in who.values():
                for body in bodies if method in ("put", "post") else [None]:
                    outputs.call(url, method.upper(), path, token, body, If_Match='"0"')
            outputs.call(url, "GET", f"{path}?token={CANARIES['viewer']}", "wrong")
    config = {"host": "127.0.0.1", "port": 1, "database": "x", "username": "app", "password": "${env:CANARY_DATABASE}"}
    good = {"deployment": {"pools": [{"id": "given", "type": "postgresql", "config": config}]}}
    operator = CANARIES["operator"]
    outputs.call(url, "PUT", "/v1/config/default", operator, {"content": json.dumps(good)}, If_Match='"0"')
    for path in (
        "/v1/config/default",
        "/v1/config/default/history",
        "/v1/audit?limit=1000",
        "/v1/summary",
        "/metrics",
        "/",
    ):
        outputs.call(url, "GET", path, operator)


def programs_that_fail(outputs: Outputs, folder: pathlib.Path, url: str) -> None:
    """The program's own words, with the secrets at hand."""
    (folder / "token").write_text(CANARIES["viewer"])
    (folder / "new.yaml").write_text("deployment: {pools: []}\n")
    for arguments in (
        ["members"],
        ["status"],
        ["drain", "n1", "--yes"],
        ["config", "apply", "new.yaml", "--yes"],
        ["config", "history"],
        ["backup", "b.db"],
    ):
        command = [PROGRAM, *arguments, "--coordinator", url, "--token-file", "token"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False)
        outputs.texts.append((" ".join(arguments), done.stdout + done.stderr))
    endpoints_with_passwords(outputs, folder)
    broken = folder / "broken.yaml"
    broken.write_text(
        json.dumps({"coordinator": {"tokens": [{"name": "a", "role": "king", "token": CANARIES["user"]}]}})
    )
    done = subprocess.run(
        [PROGRAM, "coordinator", "-c", broken],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 3
    outputs.texts.append(("coordinator -c broken.yaml", done.stdout + done.stderr))


def endpoints_with_passwords(outputs: Outputs, folder: pathlib.Path) -> None:
    """Where none belongs; each is refused, and shown without."""
    secret = CANARIES["database"]
    (folder / "urls").mkdir()
    file = folder / "urls" / "client.yaml"
    for place in (
        f"http://root:{secret}@127.0.0.1:1",
        f"http://{secret}@127.0.0.1",
        f"https://a@{secret}@127.0.0.1:x",
        f"ftp://root:{secret}/@127.0.0.1:1",
        f"root:{secret}@127.0.0.1:1",
    ):
        for section in (
            {"mode": "coordinated", "coordinator": {"endpoint": place}},
            *(
                {"mode": "distributed", "discovery": {"type": kind, "endpoint": place, "pools": "a"}}
                for kind in ("etcd", "consul", "static")
            ),
        ):
            file.write_text(json.dumps({"deployment": section}))
            for arguments in (["members"], ["query", "-p", "a", "select 1"], ["config", "history"]):
                done = subprocess.run(
                    [PROGRAM, arguments[0], *arguments[1:], "-c", str(file)],
                    capture_output=True,
                    text=True,
                    timeout=DEADLINE,
                    check=False,
                )
                assert done.returncode == 3, done.stderr
                outputs.texts.append((f"{arguments[0]} of {section}".replace(secret, "…"), done.stdout + done.stderr))


def test_no_planted_secret_comes_out_of_any_route_log_metric_or_file(tmp_path: pathlib.Path) -> None:
    outputs = Outputs()
    environment = {**os.environ, **{f"CANARY_{name.upper()}": value for name, value in CANARIES.items()}}
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: Any) -> str:
            log = stack.enter_context((tmp_path / f"{name}.log").open("w"))
            process = subprocess.Popen(
                [PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=tmp_path
            )
            stack.callback(process.wait, DEADLINE * 2)
            stack.callback(process.terminate)
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            address = process.stdout.readline().strip()
            assert address, (tmp_path / f"{name}.log").read_text()
            return address

        url = start("coordinator", "coordinator", "-c", coordinator_file(tmp_path))
        start("node", "node", "-c", node_file(tmp_path, url))
        wait_for(lambda: '"n1"' in outputs.call(url, "GET", "/v1/nodes", CANARIES["viewer"])[1])
        _, text = outputs.call(url, "GET", "/v1/nodes", CANARIES["viewer"])
        admin = json.loads(text)["nodes"][0]["admin"]
        use_every_route(outputs, url)
        programs_that_fail(outputs, tmp_path, url)
        # A configuration whose database cannot be reached.
        wait_for(lambda: '"given"' in outputs.call(admin, "GET", "/api/v1/status")[1])
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/status", "/else"):
            outputs.call(admin, "GET", path)
    for log in tmp_path.glob("*.log"):
        outputs.texts.append((log.name, log.read_text()))
    given = {tmp_path / "node-token", tmp_path / "token", tmp_path / "broken.yaml"}
    for file in tmp_path.iterdir():
        if file.is_file() and file not in given:
            outputs.texts.append((file.name, file.read_bytes().decode(errors="replace")))
            # What the processes made for themselves is theirs alone.
            if file.suffix in (".incarnation", ".last-good") or file.name.startswith("coordinator.db"):
                assert file.stat().st_mode & 0o077 == 0, file
    assert len(outputs.texts) > 100
    for where, said in outputs.texts:
        for name, canary in CANARIES.items():
            assert canary not in said, f"the secret of {name} came out of: {where}"
