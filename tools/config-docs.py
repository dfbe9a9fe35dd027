"""Rewrites the tables of docs/configuration.md that `cenote config schema` knows."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "configuration.md"
IGNORED = {"auto_scaling", "retry_attempts", "log_slow_queries", "log_threshold_ms"}
CLUSTER = ("coordinator", "discovery", "remote", "node", "load_balancer", "partition")
BEGIN = "### `config` by type\n"


def row(key: str, value: dict[str, Any], needed: bool) -> str:
    text = value.get("description", value.get("items", {}).get("description", ""))
    for alternative in value.get("anyOf", []):
        if "enum" in alternative:
            text += " One of " + ", ".join(f"`{choice}`" for choice in alternative["enum"]) + "."
    if needed:
        text += " Needed."
    if value.get("default"):
        text += f" Default `{value['default']}`."
    return f"| `{key}` | {text} |\n"


def tables(schema: dict[str, Any]) -> str:
    pool = schema["properties"]["deployment"]["properties"]["pools"]["items"]
    types = {rule["if"]["properties"]["type"]["const"]: rule["then"] for rule in pool["allOf"]}
    configs = {name: then["properties"]["config"] for name, then in types.items()}
    # The original's flat keys stand above the tables.
    flat = set(pool["properties"]["pool"]["properties"]) | {"health_check_interval"} | IGNORED
    parts = []
    for name, config in sorted(configs.items()):
        required = config.get("required", [])
        own = {key: value for key, value in config["properties"].items() if key not in flat}
        rows = "".join(row(key, value, key in required) for key, value in own.items())
        parts.append(f"**`{name}`**\n\n| key | what |\n|---|---|\n{rows}")
    return "\n".join(parts)


def server_tables(name: str, section: dict[str, Any], level: int) -> str:
    """The section's own keys, then those of the sections in it."""
    required = section.get("required", [])
    parts = {key: value for key, value in section["properties"].items() if "properties" in value}
    parts |= {
        key: value["items"] for key, value in section["properties"].items() if "properties" in value.get("items", {})
    }
    rows = "".join(row(key, value, key in required) for key, value in section["properties"].items())
    text = f"{'#' * level} `{name}`\n\n| key | what |\n|---|---|\n{rows}\n"
    for key, value in parts.items():
        text += server_tables(f"{name}.{key}" if level > 2 else key, value, level + 1)
    return text


def main() -> None:
    schema = json.loads(subprocess.check_output([ROOT / "build" / "bin" / "cenote", "config", "schema"]))
    head = PAGE.read_text().split(BEGIN)[0]
    deployment = schema["properties"]["deployment"]["properties"]
    cluster = "".join(server_tables(f"deployment.{name}", deployment[name], 2) for name in CLUSTER)
    servers = "".join(server_tables(name, schema["properties"][name], 2) for name in ("server", "coordinator"))
    PAGE.write_text(f"{head}{BEGIN}\n{tables(schema)}\n{cluster}{servers.rstrip()}\n")


if __name__ == "__main__":
    main()
