"""Files of the design with `config` filled in, as they stand: the hosts `db1`, `coordinator`, `consul` are there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from stores import servers

# In a network and with a hosts file of its own, so that names and ports are those of the files.
ALONE = 'ip link set lo up && ip address add 10.77.0.1/32 dev lo && mount --bind "$1" /etc/hosts && shift && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network of its own")
@pytest.mark.parametrize("mode", ["standalone", "coordinated", "distributed"])
def test_a_file_of_the_design_runs_as_it_stands(tmp_path: pathlib.Path, mode: str) -> None:
    servers("consul").program()  # which may have to be got, where there is a network
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost db1 coordinator consul\n10.77.0.1 db-node-1\n")
    program = [sys.executable, pathlib.Path(__file__).with_name("design_files.py"), mode, tmp_path]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", ALONE, "sh", hosts, *program],
        # As an activated environment has it: Microsoft's ODBC driver lies in this one.
        env={**os.environ, "DB_PASSWORD": "Sesame-7", "VIRTUAL_ENV": sys.prefix},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "7"
