"""The tail is watched: long files and functions are where code bases go wrong."""

import ast
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCE = [path for folder in ("include/goldgate", "plugins", "dags") for path in (CHECKOUT / folder).rglob("*.py")]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_DAG_LINES = 80


def functions(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


class TestSource:
    def test_has_no_file_above_the_bound(self):
        lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE}

        assert {path: length for path, length in lengths.items() if length > MAX_FILE_LINES} == {}

    def test_has_no_function_above_the_bound(self):
        long = [
            f"{path.relative_to(CHECKOUT)}:{node.lineno} {node.name}"
            for path in SOURCE
            for node in functions(path)
            if node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
        ]

        assert long == []

    def test_keeps_each_dag_a_table_of_contents(self):
        lengths = {path.name: len(path.read_text().splitlines()) for path in (CHECKOUT / "dags").glob("*.py")}

        assert {name: length for name, length in lengths.items() if length >= MAX_DAG_LINES} == {}

    def test_every_module_says_why_it_exists(self):
        silent = [
            str(path.relative_to(CHECKOUT))
            for path in SOURCE
            if path.stem != "__init__" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        ]

        assert silent == []
