"""The built wheel in fresh environments: beside another major version of pyarrow, and with none at all."""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys
import textwrap
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# The first run gets packages from a registry.
pytestmark = pytest.mark.timeout(600)
# Far from the version the package is built with.
OTHER_PYARROW = "pyarrow==19.*" if sys.version_info < (3, 14) else "pyarrow==22.*"


@pytest.fixture(scope="module")
def wheel() -> pathlib.Path:
    """What tools/install-python built and installed."""
    found = list((ROOT / "build" / "wheel").glob("cenote-*.whl"))
    assert len(found) == 1, "run tools/install-python"
    return found[0]


def run(*command: str | pathlib.Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(name: str, wheel: pathlib.Path, *packages: str) -> pathlib.Path:
    """The Python of a fresh environment with the wheel, kept in build/ between runs."""
    home = ROOT / "build" / "wheel-venvs" / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python, stamp = home / "bin" / "python", home / "cenote.sha256"
    if not stamp.exists():
        run(sys.executable, "-m", "venv", "--clear", home)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest() + " ".join(packages)
    if not stamp.exists() or stamp.read_text() != digest:
        pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        run(*pip, wheel, *packages)
        run(*pip, "--no-deps", "--force-reinstall", wheel)
        stamp.write_text(digest)
    return python


@pytest.fixture(scope="module")
def beside_another_pyarrow(wheel: pathlib.Path) -> pathlib.Path:
    return environment("other-pyarrow", wheel, OTHER_PYARROW)


@pytest.fixture(scope="module")
def alone(wheel: pathlib.Path) -> pathlib.Path:
    return environment("alone", wheel)


EXCHANGE = """
import datetime, decimal
pool = cenote.connect("sqlite::memory:")
table = pyarrow.table({
    "i": pyarrow.array([1, None], pyarrow.int64()),
    "t": ["x", "ä"],
    "d": pyarrow.array([datetime.date(2026, 1, 2), None]),
    "n": pyarrow.array([decimal.Decimal("1.50"), None], pyarrow.decimal128(10, 2)),
})
assert pool.ingest("item", table, mode="create") == 2
frame = pool.query("select i, t from item order by i desc")
assert pyarrow.table(frame).to_pylist() == [{"i": 1, "t": "x"}, {"i": None, "t": "ä"}]
assert frame.to_pyarrow().schema.types == [pyarrow.int64(), pyarrow.string()]
reader = pyarrow.RecordBatchReader.from_stream(pool.stream("select i, t from item"))
assert reader.read_all().num_rows == 2
assert pyarrow.compute.sum(pyarrow.table(frame)["i"]).as_py() == 1
libraries = {line.split("/")[-1].strip() for line in open("/proc/self/maps") if "libarrow" in line}
print(pyarrow.__version__, *sorted(libraries))
"""


@pytest.mark.parametrize("order", ["import cenote, pyarrow.compute", "import pyarrow.compute, cenote"])
def test_frames_are_exchanged_with_another_pyarrow(beside_another_pyarrow: pathlib.Path, order: str) -> None:
    output = run(beside_another_pyarrow, "-W", "error", "-c", order + EXCHANGE)
    version, *libraries = output.split()
    major = version.split(".")[0]
    assert OTHER_PYARROW.startswith(f"pyarrow=={major}.")
    assert any(re.fullmatch(rf"libarrow\.so\.{major}\d\d.*", library) for library in libraries)
    assert any(library.startswith("libarrow-cenote.so.") for library in libraries)


def test_it_works_alone(alone: pathlib.Path) -> None:
    code = """
        import asyncio, cenote, importlib.util
        assert importlib.util.find_spec("pyarrow") is None
        pool = cenote.connect("sqlite::memory:")
        pool.execute("create table item (a integer, b text)")
        pool.execute("insert into item values (?, ?)", [1, "x"])
        frame = pool.query("select * from item")
        assert frame.rows() == [(1, "x")]
        assert "x" in repr(frame) and "x" in frame._repr_html_()
        assert pool.ingest("item", frame) == 1

        async def main():
            async with await cenote.create_pool("main", "sqlite", database=":memory:") as pools:
                return (await pools.query("main", "select 7")).rows()

        print(asyncio.run(main()))
        """
    assert run(alone, "-W", "error", "-c", textwrap.dedent(code)) == "[(7,)]\n"


def test_the_wheel_is_for_every_python_and_typed(wheel: pathlib.Path) -> None:
    assert "-cp310-abi3-" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("py.typed", "_cenote.pyi", "_cenote.abi3.so", "__init__.py"):
        assert f"cenote/{name}" in names
    assert all(name.startswith(("cenote/", "cenote-")) for name in names)


def test_libarrow_is_private_and_found_beside_the_module(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    module = tmp_path / "cenote" / "_cenote.abi3.so"
    (arrow,) = (tmp_path / "cenote").glob("libarrow-cenote.so.*")
    dynamic = run("readelf", "-d", module)
    paths = re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic + run("readelf", "-d", arrow))
    assert set(paths) == {"$ORIGIN"}
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert arrow.name in needed
    assert not [name for name in needed if name.startswith("libarrow.so")]
    assert arrow.name in run("readelf", "-d", arrow)  # its SONAME, which the loader goes by
    assert str(ROOT).encode() not in module.read_bytes()
