"""The syntax trees of our own source, for the rules that tests hold it to."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """Each file is parsed once. CPython 3.11 loses count of its depth where the collector of garbage runs while a tree is made, and
    raises `SystemError: AST constructor recursion depth mismatch`: so it rests meanwhile."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        if collects:
            gc.enable()


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a file's tree."""
    return tuple(ast.walk(parsed(path)))
