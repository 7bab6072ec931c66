"""What the house style asks of the code's shape, read from the source without importing it.

Import order is import-linter's, spelling and types are ruff's and mypy's; this is the rest.
Each check yields one line per offence: file, line, what is wrong.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("evaluator", "evaluator_assets", "sensors", "resources")
EVERYWHERE = (*PACKAGES, "tests", "bench", "docs")

MODULE_LINES = 400
FUNCTION_LINES = 40
ASSET_BODY_LINES = 15
SAYS_NOTHING = {"utils", "helpers", "common", "misc", "lib", "base"}
DOMAIN_LIBRARIES = {"numba", "numpy", "polars"}
IMPURE = {  # clock, environment, randomness, logging, IO
    *("asyncio", "http", "io", "logging", "os", "pathlib", "random", "secrets", "shutil"),
    *("socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib"),
}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"}
ASSET_DECORATORS = {
    "asset",
    "graph_asset",
    "graph_multi_asset",
    "multi_asset",
    "observable_source_asset",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Offences = Iterator[str]


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file under the folders that exist, with its syntax tree."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def is_docstring(node: ast.stmt) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return body[1:] if body and is_docstring(body[0]) else body


def body_lines(function: Function) -> int:
    body = without_docstring(function.body)
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def length(function: Function) -> int:
    """Signature and body; a docstring costs nothing."""
    return function.body[0].lineno - function.lineno + body_lines(function)


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that is imported, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield from ((node.lineno, f"{module or '.'}.{alias.name}") for alias in names)


def is_asset(function: Function) -> bool:
    calls = (d.func if isinstance(d, ast.Call) else d for d in function.decorator_list)
    return any(ast.unparse(call).rpartition(".")[2] in ASSET_DECORATORS for call in calls)


def an_init_file_holds_at_most_a_docstring() -> Offences:
    for path, tree in sources(*PACKAGES):
        if path.name == "__init__.py":
            for node in without_docstring(tree.body):
                yield at(path, node.lineno, "code in __init__.py; give it a module of its own")


def the_name_of_a_module_says_what_it_holds() -> Offences:
    for path, _ in sources(*EVERYWHERE):
        for name in SAYS_NOTHING & {*path.relative_to(ROOT).parts[:-1], path.stem}:
            yield at(path, 1, f"`{name}` names no contents")


def a_module_is_short() -> Offences:
    for path, _ in sources(*PACKAGES):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MODULE_LINES:
            yield at(path, lines, f"{lines} lines, of at most {MODULE_LINES}")


def a_function_is_short() -> Offences:
    for path, tree in sources(*PACKAGES):
        for function in functions(tree):
            if length(function) > FUNCTION_LINES:
                what = f"{function.name} has {length(function)} lines, of at most {FUNCTION_LINES}"
                yield at(path, function.lineno, what)


def only_the_settings_read_the_environment() -> Offences:
    for path, tree in sources(*PACKAGES):
        if path == ROOT / "evaluator" / "settings.py":
            continue
        used = [(n.lineno, ast.unparse(n)) for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
        for line, name in [*used, *imports(tree)]:
            if name in ENVIRONMENT:
                yield at(path, line, f"{name}; make it a setting in evaluator/settings.py")


def nothing_private_to_dagster_is_imported() -> Offences:
    for path, tree in sources(*EVERYWHERE):
        for line, name in imports(tree):
            if re.match(r"dagster\w*\._", name):
                yield at(path, line, f"{name} is private to Dagster and moves between releases")


def the_domain_is_pure() -> Offences:
    allowed = (sys.stdlib_module_names | DOMAIN_LIBRARIES) - IMPURE
    for path, tree in sources("evaluator/domain"):
        for line, name in imports(tree):
            own = f"{name}.".startswith("evaluator.domain.")
            if not own and name.partition(".")[0] not in allowed:
                yield at(path, line, f"the domain may not import {name}: pass what it gives")


def the_domain_reads_no_clock() -> Offences:
    for path, tree in sources("evaluator/domain"):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr="now" | "today" | "utcnow" as clock)):
                    yield at(path, node.lineno, f"{clock}(); take the time as an argument")


def only_the_store_creates_tables() -> Offences:
    for path, _ in sources(*PACKAGES):
        if path.is_relative_to(ROOT / "evaluator" / "store"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(
                r"create\s+(or\s+replace\s+)?(temp(orary)?\s+)?table", line, re.IGNORECASE
            ):
                yield at(path, number, "a table is declared in evaluator/domain/tables")


def an_asset_body_is_thin() -> Offences:
    for path, tree in sources("evaluator_assets/assets"):
        for function in filter(is_asset, functions(tree)):
            if body_lines(function) > ASSET_BODY_LINES:
                what = f"{body_lines(function)} lines, of at most {ASSET_BODY_LINES}"
                yield at(path, function.lineno, f"asset {function.name}: {what}")


def assets_hold_no_frames() -> Offences:
    for path, tree in sources("evaluator_assets/assets"):
        for line, name in imports(tree):
            if name.partition(".")[0] == "polars":
                yield at(path, line, "polars in an asset; call a domain function")


@pytest.mark.parametrize(
    "rule",
    [
        an_init_file_holds_at_most_a_docstring,
        the_name_of_a_module_says_what_it_holds,
        a_module_is_short,
        a_function_is_short,
        only_the_settings_read_the_environment,
        nothing_private_to_dagster_is_imported,
        the_domain_is_pure,
        the_domain_reads_no_clock,
        only_the_store_creates_tables,
        an_asset_body_is_thin,
        assets_hold_no_frames,
    ],
    ids=lambda rule: rule.__name__,
)
def test_house_style(rule: Callable[[], Offences]):
    offences = list(rule())
    assert not offences, "\n" + "\n".join(offences)
