"""The coordinator as a process: how it begins, how it ends, and what kill -9 leaves behind."""

from __future__ import annotations

import http.client
import os
import pathlib
import random
import subprocess
import threading

import pytest
from coordinators import DEADLINE, PROGRAM, Coordinator, config, running

# The acceptance is 200 rounds; each starts a process.
ROUNDS = int(os.environ.get("CENOTE_KILL_ROUNDS", "200"))


def test_it_prints_where_it_serves_and_ends_cleanly_at_sigterm(tmp_path: pathlib.Path) -> None:
    with running(tmp_path) as coordinator:
        assert coordinator.call("GET", "/readyz")[0] == 200
        term = coordinator.call("GET", "/v1/nodes")[1]["term"]
        watching = coordinator.connect()
        watching.request("GET", f"/v1/watch?from={term}.0")
        assert watching.getresponse().status == 200
        assert coordinator.terminate() == 0
        watching.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_an_address_that_others_reach_needs_tls_and_tokens(tmp_path: pathlib.Path, listen: str) -> None:
    result = subprocess.run(
        [PROGRAM, "coordinator", "--listen", listen, "--state", tmp_path / "state.db"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 3
    assert "coordinator.tls and coordinator.tokens" in result.stderr
    assert not (tmp_path / "state.db").exists()


def test_two_coordinators_never_share_a_state(tmp_path: pathlib.Path) -> None:
    with running(tmp_path):
        command = [PROGRAM, "coordinator", "--listen", "127.0.0.1:0", "--state", tmp_path / "state.db"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert second.returncode == 3
        assert "another coordinator uses" in second.stderr


class Writer:
    """Writes versions over the one it saw last, until it is stopped or the coordinator dies."""

    def __init__(self) -> None:
        self.acknowledged: dict[int, str] = {}
        self.unknown: set[str] = set()
        self.number = 0

    def write(self, coordinator: Coordinator, died: threading.Event) -> None:
        try:
            status, newest = coordinator.call("GET", "/v1/config/default")
            version = newest["version"] if status == 200 else 0
            while not died.is_set():
                self.number += 1
                content = config(self.number)["content"]
                self.unknown.add(content)
                headers = {"If-Match": f'"{version}"', "Idempotency-Key": f"write-{self.number}"}
                status, answer = coordinator.call("PUT", "/v1/config/default", {"content": content}, headers)
                assert status == 201, answer
                version = answer["version"]
                assert version not in self.acknowledged
                self.acknowledged[version] = content
                self.unknown.discard(content)
        except (OSError, http.client.HTTPException):
            pass  # it was killed: the last write's fate is unknown


@pytest.mark.timeout(600)
def test_kill_9_while_configuration_is_written_loses_no_acknowledged_version_and_forks_none(
    tmp_path: pathlib.Path,
) -> None:
    writer = Writer()
    chance = random.Random(20)
    term = 0
    for _ in range(ROUNDS):
        with running(tmp_path, "-c", str(unstaged(tmp_path))) as coordinator:
            now = coordinator.call("GET", "/v1/nodes")[1]["term"]
            assert now > term
            term = now
            died = threading.Event()
            thread = threading.Thread(target=writer.write, args=(coordinator, died))
            wanted = len(writer.acknowledged) + chance.randrange(3)
            thread.start()
            # Anywhere: before, in and after a write.
            while len(writer.acknowledged) < wanted and thread.is_alive():
                thread.join(0.001)
            thread.join(chance.random() * 0.003)
            coordinator.kill()
            died.set()
            thread.join(DEADLINE)
            assert not thread.is_alive()
    with running(tmp_path) as coordinator:
        history = coordinator.call("GET", "/v1/config/default/history")[1]["versions"]
        versions = [entry["version"] for entry in reversed(history)]
        assert versions == list(range(1, len(versions) + 1)), "one line without a gap"
        contents = {
            entry["version"]: coordinator.call("GET", f"/v1/config/default/versions/{entry['version']}")[1]["content"]
            for entry in history
        }
        for version, content in writer.acknowledged.items():
            assert contents[version] == content
        # What nobody acknowledged may be there, but nothing else and nothing twice.
        others = [content for version, content in contents.items() if version not in writer.acknowledged]
        assert set(others) <= writer.unknown
        assert len(set(contents.values())) == len(contents)
        assert coordinator.call("GET", "/v1/audit/verify")[1]["whole"]
        assert len(writer.acknowledged) >= ROUNDS // 2


def unstaged(folder: pathlib.Path) -> pathlib.Path:
    path = folder / "coordinator.yaml"
    path.write_text("coordinator: {staged: false, ack_timeout: 1h}\n")
    return path
