"""The operator's verbs against a real coordinator: members, pools, status, drain, tokens, TLS."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import clusters
import pytest
from program import PROGRAM, Run


@pytest.fixture
def coordinator(tmp_path: pathlib.Path) -> Iterator[clusters.Coordinator]:
    with clusters.running(tmp_path) as coordinator:
        yield coordinator


def members(run: Run, url: str) -> dict[str, Any]:
    done = run("members", "--coordinator", url, "-o", "json")
    assert done.returncode == 0, done.stderr
    return {node["node_id"]: node for node in json.loads(done.stdout)["nodes"]}


def test_members_tells_where_each_node_is_and_how(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a", zone="z1", weight=2.5)
    coordinator.register("b")
    seen = members(run, coordinator.url)
    assert seen["a"]["state"] == "up" and seen["a"]["zone"] == "z1" and seen["a"]["location"] == "grpc://a:8815"
    assert isinstance(seen["b"]["heartbeat_age_ms"], int)
    table = run("members", "--coordinator", coordinator.url).stdout.decode()
    row = next(line for line in table.splitlines() if "grpc://a:8815" in line)
    assert all(word in row for word in ("up", "z1", "2.5", "shop", "s ago"))


def test_pools_tells_each_pools_nodes_health_and_connections(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a", active=3)
    coordinator.register("b", healthy=False)
    done = run("pools", "--coordinator", coordinator.url, "-o", "json")
    [shop] = json.loads(done.stdout)
    assert [(each["node_id"], each["active"], each["healthy"]) for each in shop["instances"]] == [
        ("a", 3, True),
        ("b", 0, False),
    ]
    assert "down" in run("pools", "--coordinator", coordinator.url).stdout.decode()
    wrong = run("pools", "-p", "nope", "--coordinator", coordinator.url)
    assert wrong.returncode == 1 and b"no node serves a pool 'nope'" in wrong.stderr


def test_the_coordinator_may_come_from_the_configuration(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    coordinator.register("a")
    (tmp_path / "cenote.yaml").write_text(
        f"deployment: {{mode: coordinated, coordinator: {{endpoint: '{coordinator.url}'}}}}\n"
    )
    assert b"grpc://a:8815" in run("members").stdout
    assert b"1 up" in run("status").stdout


def test_status_counts_the_nodes_and_fails_when_a_pool_has_none(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a")
    coordinator.register("b")
    done = run("status", "--coordinator", coordinator.url)
    assert done.returncode == 0 and b"2 up" in done.stdout and b"2 of 2" in done.stdout
    limitless = ("--timeout", "0", "-o", "json")
    report = json.loads(run("status", "--coordinator", coordinator.url, *limitless).stdout)
    assert report["cluster"]["nodes"] == {"up": 2}
    for node in ("a", "b"):
        coordinator.call("POST", f"/v1/nodes/{node}/drain")
    done = run("status", "--coordinator", coordinator.url)
    assert done.returncode == 4 and b"no node that is up serves shop" in done.stderr


def test_a_drained_node_is_seen_by_members_and_comes_back(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a")
    coordinator.register("b")
    done = run("drain", "a", "--yes", "--coordinator", coordinator.url)
    assert done.returncode == 0, done.stderr
    assert members(run, coordinator.url)["a"]["state"] == "draining"
    assert members(run, coordinator.url)["b"]["state"] == "up"
    assert run("undrain", "a", "-y", "--coordinator", coordinator.url).returncode == 0
    assert members(run, coordinator.url)["a"]["state"] == "up"


def test_drain_asks_and_changes_nothing_where_nobody_can_answer(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a")
    done = run("drain", "a", "--coordinator", coordinator.url)
    assert done.returncode == 2 and b"--yes" in done.stderr
    assert b"No other node that is up serves shop" in done.stderr
    assert members(run, coordinator.url)["a"]["state"] == "up"


def test_drain_of_an_unknown_node_names_those_there_are(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a")
    done = run("drain", "x", "--yes", "--coordinator", coordinator.url)
    assert done.returncode == 1 and b"there are: a" in done.stderr


def test_drain_waits_until_nothing_runs_on_the_node(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a", active=2)
    url = coordinator.url
    late = run("drain", "a", "--yes", "--wait", "--wait-limit", "1s", "--coordinator", url)
    assert late.returncode == 5 and b"2 connections in use" in late.stderr
    command = [PROGRAM, "drain", "a", "--yes", "--wait", "--coordinator", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert "is draining" in waiting.stdout.readline()
        # The load of the first heartbeat is from before the node knew.
        assert coordinator.beat("a", active=0)["draining"] is True
        busy = run("drain", "a", "--yes", "--wait", "--wait-limit", "2s", "--coordinator", url)
        assert busy.returncode == 5 and b"heartbeats are awaited" in busy.stderr
        assert waiting.poll() is None
        # Heartbeats may be as rare as they like.
        coordinator.beat("a", active=0)
        assert "is drained" in waiting.stdout.read()
    assert waiting.returncode == 0


def test_drain_and_undrain_speak_json_to_scripts(run: Run, coordinator: clusters.Coordinator) -> None:
    coordinator.register("a")
    url = coordinator.url
    done = run("drain", "a", "--yes", "-o", "json", "--coordinator", url)
    assert json.loads(done.stdout) == {"node_id": "a", "draining": True}
    command = [PROGRAM, "drain", "a", "--yes", "--wait", "-o", "json", "--coordinator", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None:
            coordinator.beat("a", active=0)
            time.sleep(0.1)
        assert waiting.stdout is not None
        assert json.loads(waiting.stdout.read()) == {"node_id": "a", "drained": True, "left": False}
    done = run("undrain", "a", "--yes", "-o", "json", "--coordinator", url)
    assert json.loads(done.stdout) == {"node_id": "a", "draining": False}


def test_backup_saves_the_state_of_a_running_coordinator(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "new.yaml").write_text("deployment: {pools: []}\n")
    url = coordinator.url
    assert run("config", "apply", "new.yaml", "--yes", "--coordinator", url).returncode == 0
    saved = tmp_path / "saved"
    saved.mkdir()
    done = run("backup", str(saved / "coordinator.db"), "--coordinator", url)
    assert done.returncode == 0, done.stderr
    assert (saved / "coordinator.db").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in saved.iterdir()) == ["coordinator.db"]
    with clusters.running(saved) as restored:
        versions = restored.call("GET", "/v1/config/default/history")["versions"]
        assert [each["version"] for each in versions] == [1]
        [taken, *_] = restored.call("GET", "/v1/audit")["entries"]
        assert taken["action"] == "state.backup"
        assert restored.call("GET", "/v1/audit/verify")["whole"]
    wrong = run("backup", str(tmp_path / "nowhere" / "x.db"), "--coordinator", url)
    assert wrong.returncode == 2 and b"no folder" in wrong.stderr


def test_a_coordinator_that_is_not_there_is_code_4(run: Run) -> None:
    done = run("members", "--coordinator", "http://127.0.0.1:1")
    assert done.returncode == 4 and b"is the coordinator running there?" in done.stderr


@pytest.mark.parametrize("verb", ["members", "pools", "status"])
def test_without_a_coordinator_or_a_file_it_says_what_to_give(run: Run, verb: str) -> None:
    done = run(verb)
    assert done.returncode == 3 and b"-c with a configuration" in done.stderr


TOKENS = [
    {"name": "anna", "token": "operator-token-of-anna-0123456789", "role": "operator"},
    {"name": "wall", "token": "viewer-token-of-the-wall-0123456789", "role": "viewer"},
]


def test_the_token_comes_from_a_file_or_the_environment(run: Run, tmp_path: pathlib.Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKENS[0]["token"] + "\n")
    with clusters.running(tmp_path, tokens=TOKENS) as coordinator:
        ask = ("members", "--coordinator", coordinator.url)
        assert run(*ask, "--token-file", str(secret)).returncode == 0
        assert run(*ask, env={"CENOTE_TOKEN": TOKENS[1]["token"]}).returncode == 0
        none = run(*ask)
        assert none.returncode == 4 and b"--token-file" in none.stderr and b"CENOTE_TOKEN" in none.stderr
        wrong = run(*ask, env={"CENOTE_TOKEN": "wrong-token-0123456789-0123456789"})
        assert wrong.returncode == 4 and b"CENOTE_TOKEN" in wrong.stderr and b"wrong-token" not in wrong.stderr
        missing = run(*ask, "--token-file", "nowhere")
        assert missing.returncode == 3 and b"nowhere" in missing.stderr
        change = ("config", "rollback", "1", "--yes", "--coordinator", coordinator.url)
        (tmp_path / "new.yaml").write_text("deployment: {pools: []}\n")
        apply = ("config", "apply", "new.yaml", "--yes", "--coordinator", coordinator.url)
        refused = run(*apply, env={"CENOTE_TOKEN": TOKENS[1]["token"]})
        assert refused.returncode == 4 and b"role viewer" in refused.stderr and b"operator" in refused.stderr
        assert run(*change, "--token-file", str(secret)).returncode == 1


def test_a_token_on_the_command_line_is_no_option_and_help_says_why(run: Run) -> None:
    assert run("members", "--token", "x").returncode == 2
    assert b"seen by every user of the machine" in run("members", "--help").stdout


def test_a_certificate_needs_its_authority(run: Run, tmp_path: pathlib.Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
        + ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True,
        capture_output=True,
    )
    with clusters.running(tmp_path, tls={"certificate": str(certificate), "key": str(key)}) as coordinator:
        assert coordinator.url.startswith("https://")
        done = run("members", "--coordinator", coordinator.url)
        assert done.returncode == 4 and b"--ca" in done.stderr
        assert run("members", "--coordinator", coordinator.url, "--ca", str(certificate)).returncode == 0
