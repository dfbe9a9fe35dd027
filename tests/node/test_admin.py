"""The node's HTTP for operators, and SIGHUP."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import adbc_driver_flightsql.dbapi as flightsql
import pytest
from nodes import COMMAND, Node, config_of, make_shop, running


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, f"not within 60 s: {what}"
        time.sleep(0.05)


def start(folder: pathlib.Path, port: int, **server: object) -> dict:
    make_shop(folder / "shop.db")
    return config_of(folder, admin={"listen": f"127.0.0.1:{port}"}, **server)


def write(node: Node, config: dict) -> None:
    (node.folder / "node.yaml").write_text(json.dumps(config))


def test_health_metrics_and_status_are_told_by_http(tmp_path: pathlib.Path, free_port: int) -> None:
    at = f"http://127.0.0.1:{free_port}"
    with running(tmp_path, start(tmp_path, free_port)) as node:
        assert get(f"{at}/healthz") == (200, "ok\n")
        assert get(f"{at}/readyz") == (200, "ready\n")
        code, metrics = get(f"{at}/metrics")
        assert code == 200 and "db_client_connection_max{" in metrics
        code, text = get(f"{at}/api/v1/status")
        status = json.loads(text)
        assert code == 200 and status["location"] == node.uri and not status["draining"]
        assert [pool["pool_id"] for pool in status["pools"]][:1] == ["shop"]
        assert status["pools"][0]["connections"]["max"] >= 1
        assert get(f"{at}/else")[0] == 404


def test_a_draining_node_is_not_ready_but_alive(tmp_path: pathlib.Path, free_port: int) -> None:
    at = f"http://127.0.0.1:{free_port}"
    with running(tmp_path, start(tmp_path, free_port, drain_timeout="60s")) as node:
        with flightsql.connect(node.uri, autocommit=False) as client, client.cursor() as cursor:
            cursor.execute("select 1")
            cursor.fetchall()
            node.process.send_signal(signal.SIGTERM)
            until(lambda: get(f"{at}/readyz") == (503, "draining\n"), "not ready")
            assert get(f"{at}/healthz")[0] == 200
            assert json.loads(get(f"{at}/api/v1/status")[1])["draining"]
        assert node.process.wait(60) == 0


def test_sighup_takes_the_pools_of_the_file_and_keeps_the_old_ones_after_a_mistake(
    tmp_path: pathlib.Path, free_port: int
) -> None:
    at = f"http://127.0.0.1:{free_port}"
    config = start(tmp_path, free_port)
    with running(tmp_path, config) as node:

        def pools() -> list[str]:
            return [pool["pool_id"] for pool in json.loads(get(f"{at}/api/v1/status")[1])["pools"]]

        before = pools()
        more = {"id": "more", "type": "sqlite", "config": {"database": str(tmp_path / "more.db")}}
        config["deployment"]["pools"].append(more)
        write(node, config)
        node.process.send_signal(signal.SIGHUP)
        until(lambda: pools() == [*before, "more"], "the new pool")
        (node.folder / "node.yaml").write_text("deployment: {pools: nonsense}")
        node.process.send_signal(signal.SIGHUP)
        until(lambda: "not reloaded: " in (node.folder / "node.log").read_text(), "the mistake is logged")
        assert pools() == [*before, "more"]


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "nonsense"])
def test_an_address_that_others_reach_or_none_has_is_refused(tmp_path: pathlib.Path, listen: str) -> None:
    make_shop(tmp_path / "shop.db")
    (tmp_path / "node.yaml").write_text(json.dumps(config_of(tmp_path, admin={"listen": listen})))
    done = subprocess.run([*COMMAND, str(tmp_path / "node.yaml")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "listen" in done.stderr and listen in done.stderr
