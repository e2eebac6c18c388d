"""Mutation testing: is there a test that fails for every small fault in the numbers' core?

    python -m benchmarks.mutation --out assets/benchmarks/robustness

Each mutant changes one operator, comparison, constant or condition of a module and runs the
tests that are about that module, in a forked process that has the heavy libraries loaded
already. A mutant that no test notices survives. Messages, docstrings and annotations are left
alone. The table lists each mutant; one that means the same as the original counts as a survivor
all the same.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cradle.files import write_frame

ROOT = Path(__file__).resolve().parent.parent
_QC = ("tests/data/test_qc.py", "tests/data/test_qc_values.py")
MODULES: dict[str, tuple[str, ...]] = {
    "cradle/data/dosage.py": ("tests/data/test_dosage.py",),
    "cradle/data/splits.py": ("tests/data/test_splits.py",),
    "cradle/data/counterfactuals.py": ("tests/data/test_counterfactuals.py",),
    "cradle/evaluation/metrics.py": ("tests/evaluation/test_metrics.py",),
    "cradle/data/qc.py": _QC,
    "cradle/data/qc_biology.py": _QC,
    "cradle/data/qc_genes.py": _QC,
    "cradle/data/qc_judge.py": _QC,
    "cradle/data/qc_metrics.py": _QC,
    "cradle/data/qc_thresholds.py": _QC,
}
_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt,),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Add,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "median": "mean", "sum": "max",
          "mean": "sum", "sorted": "list", "ceil": "floor"}  # fmt: skip
_SECONDS = 120
_KEY = ["module", "change"]  # lines move when comments do
_COLUMNS = ["module", "line", "change", "survived"]


def mutants(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Line, what was changed, and the changed module, for every mutant of a source."""
    tree = ast.parse(source)
    for number, node in enumerate(_changeable(tree)):
        for choice in range(len(_variants(node))):
            changed = copy.deepcopy(tree)
            target = list(_changeable(changed))[number]
            before = ast.unparse(target)
            _variants(target)[choice]()
            yield node.lineno, f"{before[:60]} -> {ast.unparse(target)[:60]}", changed


def _changeable(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Nodes that may be changed; not what only words a message or a type."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("InputError", "warnings.warn"):
            continue
        if isinstance(node, ast.FunctionDef):
            node.returns, node.decorator_list = None, node.decorator_list
            for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
                if part is not None and not _is_text(part):
                    yield from _of(part)
            continue
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield from _of(node.value)
            continue
        if not _is_text(node):
            yield from _of(node)


def _of(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    if isinstance(node, ast.Raise | ast.Assert):
        return
    if isinstance(node, ast.expr | ast.stmt) and _variants(node):
        yield node
    holder = node if isinstance(node, ast.AST) else ast.Module([node], [])
    if isinstance(node, ast.FunctionDef | ast.AnnAssign):
        yield from _changeable(ast.Module([node], []))  # type: ignore[list-item]
    else:
        yield from _changeable(holder)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _variants(node: ast.AST) -> list:  # type: ignore[type-arg]
    """Functions that change the node in place, one a mutant."""
    if isinstance(node, ast.Compare):
        return [_set(node.ops, i, new()) for i, op in enumerate(node.ops)
                for new in _COMPARE[type(op)]]  # fmt: skip
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _BINARY:
        return [_assign(node, "op", _BINARY[type(node.op)]())]
    if isinstance(node, ast.BoolOp):
        return [_assign(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())]
    if isinstance(node, ast.UnaryOp):
        return [_assign(node, "op", ast.UAdd())] if not isinstance(node.op, ast.UAdd) else []
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        return [_assign(node, "test", ast.UnaryOp(ast.Not(), node.test))]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        value = node.value
        return [_assign(node, "value", not value if isinstance(value, bool) else value + 1)]
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(
            node.func, "id", "")  # fmt: skip
        if name in _CALLS:
            key = "attr" if isinstance(node.func, ast.Attribute) else "id"
            return [_assign(node.func, key, _CALLS[name])]
    return []


def _assign(node: ast.AST, name: str, value: object):  # type: ignore[no-untyped-def]
    return lambda: setattr(node, name, value)


def _set(items: list, index: int, value: object):  # type: ignore[no-untyped-def,type-arg]
    return lambda: items.__setitem__(index, value)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the changed module to whoever imports it."""

    def __init__(self, name: str, tree: ast.Module, path: Path) -> None:
        self.name, self.tree, self.path = name, ast.fix_missing_locations(tree), path

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Of the changed module only."""
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def exec_module(self, module) -> None:  # type: ignore[no-untyped-def]
        """Run the changed code."""
        module.__file__ = str(self.path)
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


def survives(module: str, tree: ast.Module | None, tests: tuple[str, ...]) -> tuple[bool, float]:
    """Whether the tests pass with the changed module (None: as it is), and the seconds taken."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        signal.alarm(_SECONDS)
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        if tree is not None:
            name = module.removesuffix(".py").replace("/", ".")
            sys.meta_path.insert(0, _Changed(name, tree, ROOT / module))
        import pytest
        from hypothesis import settings

        settings.register_profile("mutation", max_examples=15, derandomize=True, database=None)
        settings.load_profile("mutation")
        there = [test for test in tests if (ROOT / test).exists()]
        # plugins that the loaded libraries bring along are not needed, and come too late
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        os._exit(int(pytest.main([*options, *there])))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0, time.monotonic() - started


def main() -> int:
    """Test every mutant of the chosen modules."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutation", description=__doc__)
    parser.add_argument("--modules", help="part of the names; default: all")
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--again", type=Path, help="table of which to test the survivors again")
    parser.add_argument("--out", type=Path, help="folder for mutation.csv and its summary")
    arguments = parser.parse_args()
    os.nice(arguments.nice)
    os.chdir(ROOT)
    _load_libraries()
    former = pd.read_csv(arguments.again) if arguments.again else pd.DataFrame(columns=_COLUMNS)
    dead = {tuple(row) for row in former[~former["survived"].astype(bool)][_KEY].to_numpy()}
    rows = []
    for module, tests in MODULES.items():
        if arguments.modules and arguments.modules not in module:
            continue
        passed, seconds = survives(module, None, tests)
        print(
            f"{module}: unchanged {'passes' if passed else 'FAILS'} in {seconds:.1f} s", flush=True
        )
        assert passed, "the tests must pass before they can tell anything"
        for line, change, tree in mutants((ROOT / module).read_text(encoding="utf-8")):
            known = (module, change) in dead
            lived = not known and survives(module, tree, tests)[0]
            rows.append({"module": module, "line": line, "change": change, "survived": lived})
            if lived:
                print(f"survived {module}:{line}  {change}", flush=True)
            if arguments.out and len(rows) % 10 == 0:
                write_frame(arguments.out / "mutation.csv", pd.DataFrame(rows))
    table = pd.DataFrame(rows)
    summary = table.groupby("module")["survived"].agg(mutants="size", survived="sum").reset_index()
    summary["score"] = (1 - summary["survived"] / summary["mutants"]).round(4)
    print(summary.to_string(index=False))
    print(f"score {1 - table['survived'].mean():.4f} of {len(table)} mutants")
    if arguments.out:
        write_frame(arguments.out / "mutation.csv", table)
        write_frame(arguments.out / "mutation_summary.csv", summary)
    return 0


def _load_libraries() -> None:
    """What the tests import, except the package itself, so that a fork starts at once."""
    for name in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")  # as the tests ask for
    import anndata  # noqa: F401
    import pytest  # noqa: F401
    import scanpy  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch

    torch.set_num_threads(1)
    for name in [name for name in sys.modules if name.split(".")[0] == "cradle"]:
        del sys.modules[name]


if __name__ == "__main__":
    sys.exit(main())
