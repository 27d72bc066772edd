"""Wrong answers that nobody thought of: each reference of the checks, changed by general rules.

    python benchmarks/mutants.py                 all checks, in a quarter of an hour
    python benchmarks/mutants.py freeze accuracy     some of them

A check tries an answer on a few cases. Where a case is too special, as with square images or a loss near
zero, a wrong answer looks right. So each reference is changed in one place at a time: a statement dropped,
a constant, a comparison or an axis changed, two arguments swapped, a module shared. What a check still
passes is a survivor. Either a better case catches it, or it does the same as the reference: then it stands
in `equal_mutants.md` with the reason.
"""

from __future__ import annotations

import ast
import copy
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import resnet_edu.checks.check as engine  # noqa: E402
from resnet_edu import checks  # noqa: E402
from resnet_edu.checks.check import Check  # noqa: E402
from resnet_edu.checks.text import compiled, source_of  # noqa: E402

engine.SECONDS = 20  # a busy computer is not to stop a mutant that does the same as the reference

EQUAL = Path(__file__).with_name("equal_mutants.md")

STAND_INS = {"ResNet50": {"make_stage": checks.make_stage.reference}}
"""What stands for a learner's own function in a reference, to be quick. Mutants get the real one."""

Change = Callable[[ast.AST], Iterator[ast.AST]]
"""From a node to what may stand in its place."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
}
PAIRS = (
    ("mean", "sum"),
    ("min", "max"),
    ("argmax", "argmin"),
    ("train", "eval"),
    ("zeros", "ones"),
    ("zeros_", "ones_"),
    ("zeros_like", "ones_like"),
    ("weight", "bias"),
    ("running_mean", "running_var"),
    ("in_channels", "out_channels"),
    ("parameters", "buffers"),
    ("children", "modules"),
    ("named_children", "named_modules"),
    ("floor", "ceil"),
    ("var", "std"),
    ("any", "all"),
    ("append", "extend"),
    ("add_", "sub_"),
    ("normal_", "uniform_"),
    ("conv1", "conv2"),
    ("bn1", "bn2"),
    ("relu", "abs"),
)
OTHER_NAMES = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
NO_CHANGE = {
    "clone",
    "detach",
    "copy",
    "float",
    "double",
    "sorted",
    "list",
    "abs",
    "sqrt",
    "contiguous",
}
"""Calls that may be left out: `x.clone()` becomes `x`, `sorted(x)` too."""


def constants(node: ast.AST) -> Iterator[ast.AST]:
    """Another number, truth value or text."""
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node.value, float):
        yield from (ast.Constant(2 * node.value), ast.Constant(0.0))
    elif isinstance(node.value, str) and node.value:
        yield ast.Constant(f"{node.value}_")


def operators(node: ast.AST) -> Iterator[ast.AST]:
    """Another operator, one operand alone, and a condition the other way round."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for kind in COMPARISONS[type(node.ops[0])]:
            yield ast.Compare(node.left, [kind()], node.comparators)
    elif isinstance(node, ast.BinOp):
        for kind in OPERATORS.get(type(node.op), ()):
            yield ast.BinOp(node.left, kind(), node.right)
        yield from (node.left, node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)


def calls(node: ast.AST) -> Iterator[ast.AST]:
    """Arguments swapped or left out, a call left out, another method of the same kind."""
    if isinstance(node, ast.Attribute) and node.attr in OTHER_NAMES:
        yield ast.Attribute(node.value, OTHER_NAMES[node.attr], node.ctx)
    if isinstance(node, ast.Name) and node.id in OTHER_NAMES and node.id in dir(__builtins__):
        yield ast.Name(OTHER_NAMES[node.id], node.ctx)
    if not isinstance(node, ast.Call):
        return
    for i in range(len(node.args) - 1):
        swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
        yield ast.Call(node.func, swapped, node.keywords)
    if len(node.args) > 1:
        yield ast.Call(node.func, node.args[:-1], node.keywords)
    for i in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    if isinstance(node.func, ast.Attribute) and node.func.attr in NO_CHANGE and not node.args:
        yield node.func.value
    if isinstance(node.func, ast.Name) and node.func.id in NO_CHANGE and len(node.args) == 1:
        yield node.args[0]


def collections(node: ast.AST) -> Iterator[ast.AST]:
    """Two elements swapped; one thing made once and shared; a condition or a bound left out."""
    if isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            swapped = [*node.elts[:i], node.elts[i + 1], node.elts[i], *node.elts[i + 2 :]]
            yield type(node)(swapped, node.ctx)
    elif isinstance(node, ast.ListComp | ast.GeneratorExp):
        if isinstance(node.elt, ast.Call):
            yield ast.parse(
                f"[one for all in [list({ast.unparse(node)})[:1]] for one in all "
                f"for _ in list({ast.unparse(node)})]",
                mode="eval",
            ).body
        for i, generator in enumerate(node.generators):
            if generator.ifs:
                bare = ast.comprehension(generator.target, generator.iter, [], generator.is_async)
                yield type(node)(node.elt, [*node.generators[:i], bare, *node.generators[i + 1 :]])
    elif isinstance(node, ast.Slice):
        if node.lower:
            yield ast.Slice(None, node.upper, node.step)
        if node.upper:
            yield ast.Slice(node.lower, None, node.step)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """A statement dropped, a loop that ends after its first turn, code that no longer tidies up."""
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Raise | ast.Delete):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield ast.Pass()
    elif isinstance(node, ast.If):
        yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
    elif isinstance(node, ast.For):
        yield from _made_before_the_loop(node)
        yield ast.For(node.target, node.iter, [*node.body, ast.Break()], node.orelse)
        skipped = ast.parse(f"list({ast.unparse(node.iter)})[1:]", mode="eval").body
        yield ast.For(node.target, skipped, node.body, node.orelse)
    elif isinstance(node, ast.With):
        yield ast.If(ast.Constant(True), node.body, [])
    elif isinstance(node, ast.Try) and node.finalbody:
        yield ast.If(ast.Constant(True), [*node.body, *node.finalbody], [])
        yield ast.If(ast.Constant(True), node.body, [])


def _made_before_the_loop(loop: ast.For) -> Iterator[ast.AST]:
    """What each turn makes and appends is made once, and is the same thing each time."""
    for statement in loop.body:
        match statement:
            case ast.Expr(ast.Call(ast.Attribute(attr="append"), [ast.Call() as made])):
                once = ast.parse(f"one = {ast.unparse(made)}").body[0]
                rest = ast.parse(ast.unparse(loop).replace(ast.unparse(made), "one")).body[0]
                yield ast.If(ast.Constant(True), [once, rest], [])


def definitions(node: ast.AST) -> Iterator[ast.AST]:
    """A decorator left out, another default, and modules that are shared."""
    if isinstance(node, ast.FunctionDef):
        for i in range(len(node.decorator_list)):
            other = copy.copy(node)
            other.decorator_list = node.decorator_list[:i] + node.decorator_list[i + 1 :]
            yield other
        made: dict[str, ast.expr] = {}
        for i, statement in enumerate(node.body):
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                what = ast.unparse(statement.value)
                if what in made:
                    other = copy.copy(node)
                    shared = ast.Assign(statement.targets, made[what])
                    other.body = [*node.body[:i], shared, *node.body[i + 1 :]]
                    yield other
                target = copy.deepcopy(statement.targets[0])
                target.ctx = ast.Load()
                made.setdefault(what, target)


RULES: tuple[Change, ...] = (constants, operators, calls, collections, statements, definitions)


def mutants(source: str) -> Iterator[str]:
    """Each source that differs from this one in one place, by one rule. Each once."""
    plain = ast.unparse(ast.parse(source))
    seen = {plain}
    whole = ast.parse(plain)
    does_nothing = {id(part) for node in ast.walk(whole) for part in _without_effect(node)}
    for number, place in enumerate(ast.walk(whole)):
        if id(place) in does_nothing:
            continue
        for rule in RULES:
            for changed in _changes(rule, place):
                tree = ast.parse(plain)
                made = _Replace(list(ast.walk(tree))[number], changed).visit(tree)
                text = ast.unparse(ast.fix_missing_locations(made))
                if text not in seen:
                    seen.add(text)
                    yield text


def _without_effect(node: ast.AST) -> Iterator[ast.AST]:
    """What an error says, which is free, and hints at types."""
    if isinstance(node, ast.Raise):
        yield from list(ast.walk(node))[1:]
    for name in ("annotation", "returns"):
        if hint := getattr(node, name, None):
            yield from ast.walk(hint)


def _changes(rule: Change, place: ast.AST) -> Iterator[ast.AST]:
    return (copy.deepcopy(node) for node in rule(place))


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.old:
            return self.new
        return self.generic_visit(node)


def difference(before: str, after: str) -> str:
    """The lines that differ, as `old => new`."""
    old, new = (
        [line.strip() for line in ast.unparse(ast.parse(text)).splitlines() if line.strip()]
        for text in (before, after)
    )
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    while old and new and old[0] == new[0] and (len(old) > 1 < len(new)):
        del old[0], new[0]  # the line before stays, where a line is only added or dropped
    return f"{' / '.join(old)} => {' / '.join(new)}".strip()


def equal() -> dict[str, dict[str, str]]:
    """For each check the mutants that do the same as the reference, with the reason."""
    known: dict[str, dict[str, str]] = {}
    for part in re.split(r"^## ", EQUAL.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        found = known.setdefault(name.strip(), {})
        reason = ""
        for line in lines:
            if line.startswith("    "):
                found[line.strip()] = reason
            elif line.strip():
                reason = line.strip()
    return known


def all_checks() -> list[Check]:
    """Every check of the course."""
    return [value for value in vars(checks).values() if isinstance(value, Check)]


def judge(check: Check) -> tuple[int, int, list[str]]:
    """How many mutants there are, how many are caught with a name, and those that pass."""
    source = source_of(check.reference)
    count, named, survivors = 0, 0, []
    for text in mutants(source):
        try:
            answer = compiled(text, check.reference, "mutant")
        except Exception:
            continue  # no program
        vars(answer).get("__init__", answer).__globals__.update(STAND_INS.get(check.name, {}))
        count += 1
        verdict = check(answer)
        named += verdict.mistake not in (None, "raised-error")
        if verdict.passed:
            survivors.append(difference(source, text))
    return count, named, survivors


def main(names: list[str]) -> None:
    """Print for each check its survivors, and the totals."""
    known, total, total_named, unexplained = equal(), 0, 0, 0
    for check in all_checks():
        if names and check.name not in names:
            continue
        count, named, survivors = judge(check)
        new = [text for text in survivors if text not in known.get(check.name, {})]
        gone = known.get(check.name, {}).keys() - set(survivors)
        total, total_named, unexplained = total + count, total_named + named, unexplained + len(new)
        print(
            f"{check.name:24} {count:5} mutants, {named:5} named, {len(survivors):3} pass, "
            f"{len(new):3} of them unexplained",
            flush=True,
        )
        for text in new:
            print(f"    {text}")
        for text in sorted(gone):
            print(f"    in equal_mutants.md, but caught or no mutant any more: {text}")
    print(
        f"{total} mutants, {total_named} caught and named, {unexplained} pass and are unexplained"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
