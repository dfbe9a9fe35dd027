"""One collection of configurations, judged by the program and by its JSON Schema.

The name says what is expected: `good_` both accept, `bad_` both refuse, `yaml_` is no YAML to begin with, `beyond_`
breaks a rule that a schema cannot say, `later_` is right but for a version to come.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml
from program import PROGRAM, ROOT, Run

CASES = sorted((ROOT / "tests" / "config" / "cases").glob("*.yaml"))
ENV = {"CENOTE_TEST_PASSWORD": "hunter2", "CENOTE_TEST_NUMBER": "12", "CENOTE_TEST_BOOLEAN": "on"}


@pytest.fixture(scope="session")
def schema() -> jsonschema.Draft202012Validator:
    document = json.loads(subprocess.check_output([PROGRAM, "config", "schema"]))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_program_and_the_schema_agree(
    run: Run, schema: jsonschema.Draft202012Validator, case: pathlib.Path
) -> None:
    kind = case.stem.split("_")[0]
    result = run("config", "validate", str(case), env=ENV)
    if kind == "good":
        assert result.returncode == 0, result.stderr
    else:
        assert result.returncode == 3
        # One line, with the place, unless the file is empty; and never the secret.
        assert re.fullmatch(rb"cenote: [^\n]+\n", result.stderr)
        assert re.match(rb"cenote: [^:]+\.yaml:\d+:\d+: ", result.stderr) or "empty" in case.stem or "only" in case.stem
        assert b"hunter2" not in result.stderr and len(result.stderr) < 1500
    if kind == "later":
        assert b"is not in this version" in result.stderr
    if kind == "yaml":
        return
    try:
        document = yaml.safe_load(case.read_text())
    except yaml.YAMLError:
        assert case.stem in ("beyond_self_alias", "bad_key_list")
        return
    errors = [] if case.stem == "beyond_self_alias" else list(schema.iter_errors(document))
    assert bool(errors) == (kind == "bad"), errors


def test_every_key_is_in_the_documentation(schema: jsonschema.Draft202012Validator) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()

    def keys(node: object) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(keys, node))
        if not isinstance(node, dict):
            return set()
        mine = set(node["properties"]) if isinstance(node.get("properties"), dict) else set()
        return mine.union(*map(keys, node.values()))

    missing = {key for key in keys(schema.schema) if f"`{key}`" not in text}
    assert not missing, "a database's keys are written by tools/config-docs.py"


@pytest.mark.parametrize("content", [b"\x00" * 10, b"\xff\xfe" * 10, b"a: " + b"[" * 100_000, b"x" * (2 << 20)])
def test_files_that_are_no_configuration_are_refused_at_once(run: Run, tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "cenote.yaml").write_bytes(content)
    result = run("config", "validate")
    assert result.returncode == 3
    assert re.fullmatch(rb"cenote: cenote.yaml[^\n]{1,500}\n", result.stderr), result.stderr


def test_a_directory_and_an_endless_file_are_refused(run: Run, tmp_path: pathlib.Path) -> None:
    for path in (str(tmp_path), "/dev/zero"):
        assert run("config", "validate", path).returncode == 3
