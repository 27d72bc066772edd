"""A lesson cut down to its widgets and to the statements that these need.

The browser tests look at widgets. All that a lesson computes beside them runs once, in nbval.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator

from nbformat import NotebookNode

TAKES_LONG = {"fit", "steps", "keras"}
"""Who needs a trained network, or Keras's: these explorers are moved in tests of their own."""


def widgets_alone(notebook: NotebookNode) -> NotebookNode:
    """Leave in each code cell only what its widgets, or those further down, need. Changes `notebook`."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    of_cell = [ast.parse(cell.source).body for cell in cells]
    nodes = [node for body in of_cell for node in body]
    kept: set[ast.stmt] = set()
    for place, node in enumerate(nodes):
        if any(map(_makes_a_widget, ast.walk(node))):
            needed = _needed(nodes, place)
            if not any(_names(other) & TAKES_LONG for other in needed):
                kept |= needed
    for cell, body in zip(cells, of_cell, strict=True):
        bound = {name for node in body if node in kept for name in _bound(node)}
        if body and ast.unparse(body[-1]) in bound:  # it shows what was made above
            kept.add(body[-1])
        cell.source = "\n".join(ast.unparse(node) for node in body if node in kept)
        cell.outputs, cell.execution_count = [], None
    return notebook


def _makes_a_widget(part: ast.AST) -> bool:
    """Whether it is a class of `widgets`."""
    return (
        isinstance(part, ast.Attribute)
        and part.attr[0].isupper()
        and ast.unparse(part.value) == "widgets"
    )


def _needed(nodes: list[ast.stmt], place: int) -> set[ast.stmt]:
    """A statement, and all above it that bind or change a name that it uses."""
    needed: set[ast.stmt] = set()
    waiting = [place]
    while waiting:
        user = waiting.pop()
        if nodes[user] in needed:
            continue
        needed.add(nodes[user])
        # A function may use names that are bound below it, up to the place where it is called.
        end = place if isinstance(nodes[user], ast.FunctionDef | ast.ClassDef) else user
        for name in _names(nodes[user]):
            bound = [i for i in range(end) if name in _bound(nodes[i])]
            waiting += bound[-1:]
            if bound and not isinstance(nodes[bound[-1]], ast.Import | ast.ImportFrom):
                waiting += [i for i in range(bound[-1], end) if name in _changed(nodes[i])]
    return needed


def _names(node: ast.stmt) -> set[str]:
    """Names from outside that a statement reads, and what it calls that takes long."""

    def read(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                yield symbol.get_name()
        for inner in table.get_children():
            yield from read(inner)

    attributes = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    code = ast.unparse(node)
    return {*read(symtable.symtable(code, "a cell", "exec")), *(attributes & TAKES_LONG)}


def _bound(node: ast.stmt) -> Iterator[str]:
    """Names that a statement gives to something."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id
        elif isinstance(part, ast.alias):
            yield (part.asname or part.name).partition(".")[0]


def _changed(node: ast.stmt) -> Iterator[str]:
    """Names of things whose method is called for its effect, or of which a part is set."""
    for part in ast.walk(node):
        called = (
            part.value.func
            if isinstance(part, ast.Expr) and isinstance(part.value, ast.Call)
            else None
        )
        owner = called or part
        if not isinstance(owner, ast.Attribute | ast.Subscript):
            continue
        if called or isinstance(owner.ctx, ast.Store):
            while isinstance(owner, ast.Attribute | ast.Subscript):
                owner = owner.value
            if isinstance(owner, ast.Name):
                yield owner.id
