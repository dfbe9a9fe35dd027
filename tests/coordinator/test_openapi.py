"""The server against its OpenAPI document: schemathesis makes requests of it, good and bad."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from coordinators import config, running

# Streams have no end, and an operator's token made here would shut the rest of the run out.
EXCLUDED = ["--exclude-operation-id", "watch", "--exclude-operation-id", "createToken"]
# Who may call what is auth_test.cc's.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,use_after_free"
)


@pytest.mark.timeout(600)
def test_the_server_keeps_what_its_document_says(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "coordinator.yaml"
    # Schemathesis is a herd of its own.
    file.write_text("coordinator: {registrations_per_second: 100000}\n")
    with running(tmp_path, "-c", str(file)) as coordinator:
        # Something to find.
        assert coordinator.call("PUT", "/v1/config/default", config(1), {"If-Match": '"0"'})[0] == 201
        result = subprocess.run(
            [
                pathlib.Path(sys.executable).parent / "schemathesis",
                "run",
                f"{coordinator.url}/v1/openapi.json",
                *EXCLUDED,
                "--phases=examples,coverage,fuzzing",
                f"--checks={CHECKS}",
                "--max-examples=10",
                "--seed=1",
                "--request-timeout=60",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]
        assert coordinator.call("GET", "/readyz")[0] == 200
