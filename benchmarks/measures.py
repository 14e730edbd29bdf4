"""The house in figures: `python -m benchmarks.measures [PACKAGE_FOLDER]`. Another package's folder measures that one.

Lines of code are lines that hold a token other than a comment or a docstring; a why-comment is a comment in words.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
_NO_WORDS = ("type:", "pyright:", "noqa", "ruff:", "pragma", "!")
_SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass(frozen=True, slots=True)
class House:
    """What was counted in one package."""

    modules: Mapping[str, int]
    """Lines by module."""
    functions: Mapping[str, int]
    """Lines by function, from `def` to its end, those that are only comments left out."""
    code: int
    comments: int
    any_types: int
    casts: int
    circles: tuple[tuple[str, ...], ...]


def measured(package: Path) -> House:
    """Count a package's modules."""
    files = {file.relative_to(package).as_posix(): file.read_text("utf-8") for file in sorted(package.rglob("*.py"))}
    trees = {name: ast.parse(text) for name, text in files.items()}
    return House(
        modules={name: len(text.splitlines()) for name, text in files.items()},
        functions={
            f"{name}:{title}": lines for name, tree in trees.items() for title, lines in _functions(files[name], tree)
        },
        code=sum(_code_lines(files[name], tree) for name, tree in trees.items()),
        comments=sum(map(_comments, files.values())),
        any_types=sum(_names(tree, "Any") for tree in trees.values()),
        casts=sum(_calls(tree, "cast") for tree in trees.values()),
        circles=circles(imports_of(package)),
    )


def imports_of(package: Path) -> dict[str, set[str]]:
    """Which module of the package imports which, imports for type checkers alone and late ones included."""
    # The package's front door only names what lies behind it, and imports it when it is asked for.
    files = [file for file in package.rglob("*.py") if file.parent != package or file.name != "__init__.py"]
    modules = {_module(package, file): file for file in files}
    return {name: _imported(file, modules) - {name} for name, file in modules.items()}


def circles(imports: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    """The groups of modules that import one another in a circle (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[tuple[str, ...]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in imports[name]:
            if other not in order:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], order[other])
        if lowest[name] == order[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                groups.append(tuple(sorted(group)))

    for name in sorted(imports):
        if name not in order:
            visit(name)
    return tuple(groups)


def _module(package: Path, file: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path, modules: Mapping[str, Path]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modular = inner & modules.keys()
            # A package's own `__init__` counts only where a name is taken from it, not on the way to a module.
            names |= modular | ({node.module} if inner - modular else set())
    return names & modules.keys()


def _functions(text: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, Function):
            body = lines[node.lineno - 1 : node.end_lineno]
            yield node.name, sum(not line.lstrip().startswith("#") for line in body)


def _code_lines(text: str, tree: ast.Module) -> int:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    prose: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in _SKIPPED for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - prose)


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    words = [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return sum(1 for comment in words if comment and not comment.startswith(_NO_WORDS))


def _names(tree: ast.Module, name: str) -> int:
    return sum(1 for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)


def _calls(tree: ast.Module, name: str) -> int:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(1 for function in calls if isinstance(function, ast.Name) and function.id == name)


def main() -> None:
    """Print one line a figure."""
    package = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "fal_mcp"
    house = measured(package)
    sizes = sorted(house.functions.values())
    longest = sorted(house.functions.items(), key=lambda item: -item[1])[:5]
    largest = max(house.modules.items(), key=lambda item: item[1])
    rows = {
        "modules / lines": f"{len(house.modules)} / {sum(house.modules.values()):,}",
        "median / largest module": f"{statistics.median(house.modules.values()):.0f} / {largest[1]} {largest[0]}",
        "modules over 350 lines": sum(lines > 350 for lines in house.modules.values()),
        "functions": len(sizes),
        "function median / p90 / max": f"{statistics.median(sizes):.0f} / {sizes[len(sizes) * 9 // 10]} / {sizes[-1]}",
        "functions over 45 lines": sum(lines > 45 for lines in sizes),
        "why-comments per 100 lines of code": f"{100 * house.comments / house.code:.1f} ({house.comments})",
        "Any": house.any_types,
        "cast": house.casts,
        "circles": len(house.circles),
    }
    for name, figure in rows.items():
        sys.stdout.write(f"{name:36} {figure}\n")
    for name, lines in longest:
        sys.stdout.write(f"  longest: {lines:3} {name}\n")
    for circle in house.circles:
        sys.stdout.write(f"  circle: {', '.join(circle)}\n")


if __name__ == "__main__":
    main()
