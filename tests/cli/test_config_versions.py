"""A cluster's configuration from the command line: diff, apply, history, rollback."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterator

import clusters
import pytest
from program import PROGRAM, Run


@pytest.fixture
def coordinator(tmp_path: pathlib.Path) -> Iterator[clusters.Coordinator]:
    with clusters.running(tmp_path) as coordinator:
        yield coordinator


def write(folder: pathlib.Path, connections: int | str) -> str:
    file = folder / "new.yaml"
    file.write_text(
        "deployment:\n  pools:\n    - id: shop\n      type: sqlite\n      config: {database: shop.db}\n"
        f"      pool: {{max_connections: {connections}}}\n"
    )
    return file.name


def history(run: Run, url: str) -> list[tuple[int, str]]:
    done = run("config", "history", "--coordinator", url, "-o", "json")
    assert done.returncode == 0, done.stderr
    return [(each["version"], each["action"]) for each in json.loads(done.stdout)["versions"]]


def apply(run: Run, url: str, file: str, *more: str) -> None:
    done = run("config", "apply", file, "--yes", "--coordinator", url, *more)
    assert done.returncode == 0, done.stderr


def test_apply_shows_what_changes_and_makes_a_version(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    url = coordinator.url
    apply(run, url, write(tmp_path, 4))
    done = run("config", "diff", write(tmp_path, 9), "--coordinator", url)
    assert done.returncode == 0 and b"-      pool: {max_connections: 4}" in done.stdout
    assert b"+      pool: {max_connections: 9}" in done.stdout
    done = run("config", "apply", "new.yaml", "--yes", "--coordinator", url)
    assert done.returncode == 0 and b"+      pool: {max_connections: 9}" in done.stdout
    assert history(run, url) == [(2, "config.put"), (1, "config.put")]
    again = run("config", "apply", "new.yaml", "--yes", "--coordinator", url)
    assert again.returncode == 0 and b"no difference" in again.stdout
    assert len(history(run, url)) == 2
    versions = run("config", "diff", "--from", "1", "--to", "2", "--coordinator", url)
    assert b"max_connections: 9" in versions.stdout


def test_a_wrong_file_is_refused_with_its_place(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    done = run("config", "apply", write(tmp_path, "many"), "--yes", "--coordinator", coordinator.url)
    assert done.returncode == 3
    assert b"new.yaml:6:" in done.stderr and b"max_connections" in done.stderr
    assert history(run, coordinator.url) == []


def test_a_version_made_meanwhile_is_not_overwritten(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    url = coordinator.url
    apply(run, url, write(tmp_path, 4))
    apply(run, url, write(tmp_path, 5))
    done = run("config", "apply", write(tmp_path, 6), "--yes", "--if-match", "1", "--coordinator", url)
    assert done.returncode == 1
    assert b"version 2" in done.stderr and b"cenote config history" in done.stderr
    assert len(history(run, url)) == 2


def test_rollback_makes_a_new_version_of_the_old_content(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    url = coordinator.url
    for connections in (4, 5, 6):
        apply(run, url, write(tmp_path, connections))
    done = run("config", "rollback", "1", "--yes", "--coordinator", url)
    assert done.returncode == 0, done.stderr
    assert b"version 4" in done.stdout and b"+      pool: {max_connections: 4}" in done.stdout
    assert history(run, url)[0] == (4, "config.rollback")
    assert run("config", "rollback", "9", "--yes", "--coordinator", url).returncode == 1


def test_changes_ask_where_nobody_can_answer_they_do_nothing(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    done = run("config", "apply", write(tmp_path, 4), "--coordinator", coordinator.url)
    assert done.returncode == 2 and b"--yes" in done.stderr
    assert history(run, coordinator.url) == []


def test_apply_waits_until_every_node_has_the_version(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    url = coordinator.url
    apply(run, url, write(tmp_path, 4), "--wait")  # without a node there is nothing to wait for
    coordinator.register("a")
    coordinator.beat("a", active=0, config_version=1)
    file = write(tmp_path, 5)
    late = run("config", "apply", file, "--yes", "--wait", "--wait-limit", "1s", "--coordinator", url)
    assert late.returncode == 5 and b"still on its way" in late.stderr
    command = [PROGRAM, "config", "rollback", "1", "--yes", "--wait", "--coordinator", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        while "version 3 of scope" not in waiting.stdout.readline():
            assert waiting.poll() is None
        assert coordinator.beat("a", active=0, config_version=3)["config_version"] == 3
        assert "every node has version 3" in waiting.stdout.read()
    assert waiting.returncode == 0


def test_a_version_that_a_node_refuses_was_not_kept_and_the_reason_is_told(
    run: Run, coordinator: clusters.Coordinator, tmp_path: pathlib.Path
) -> None:
    url = coordinator.url
    apply(run, url, write(tmp_path, 4))
    coordinator.register("a")
    coordinator.beat("a", active=0, config_version=1)
    command = [PROGRAM, "config", "apply", write(tmp_path, 5), "--yes", "--wait", "--coordinator", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as waiting:
        assert waiting.stdout is not None and waiting.stderr is not None
        while "version 2 of scope" not in waiting.stdout.readline():
            assert waiting.poll() is None
        coordinator.beat("a", active=0, config_version=1, config_rejected=2, config_reason="the disk is full")
        assert "was not kept" in waiting.stderr.read()
    assert waiting.returncode == 1
