"""The figures about the code, on trees drawn by hand."""

from __future__ import annotations

from ferflow.jobs.benchmarks.structure import figures, levels_of, main, rooms_of


def checkout(root, **files):
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for room in ("ferflow", "jobs", "dashboards"):
        (root / room).mkdir(exist_ok=True)
        (root / room / "__init__.py").write_text("")
    return root


def test_a_chain_counts_its_modules_and_a_circle_counts_as_one():
    assert levels_of({"a": {"b"}, "b": {"c"}, "c": set()}) == 3
    assert levels_of({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == 2


def test_relative_and_late_imports_are_seen(tmp_path):
    found = figures(
        checkout(
            tmp_path,
            ferflow__text="def late():\n    from ferflow.errors import E\n",
            ferflow__errors="import ferflow.text\n\n\nE = 1\n",
            dashboards__a="from .b import x\n\n\ndef f():\n    return x\n",
            dashboards__b="x = 1\n",
        )
    )
    assert found["circles of imports between modules, imports inside functions included"] == "1"
    assert found["circles of imports between modules when loaded"] == "0"
    assert found["files in the root of the package"] == "3"


def test_a_folder_is_one_room_whatever_its_modules_import_from_each_other():
    graph = {"ferflow.a.x": {"ferflow.a.y"}, "ferflow.a.y": {"ferflow.b"}, "ferflow.b": set()}
    assert rooms_of(graph) == {"ferflow.a": {"ferflow.b"}, "ferflow.b": set()}


def test_comments_docstrings_and_code_are_told_apart(tmp_path):
    text = (
        '"""What it is."""\n\n# Why.\nx = 1\ny = 2  # not alone\n\n\ndef f(a: dict[str, Any]) -> int:\n'
        '    """Say.\n\n    More.\n    """\n    return a\n'
    )
    found = figures(checkout(tmp_path, ferflow__a=text))
    assert found["lines of code, without comments and docstrings"] == "4"
    assert found["lines of docstrings"] == "5"
    assert found["comment lines per 100 lines of code"] == "25.0"
    assert found["`dict[str, Any]` or `object` in signatures and fields"] == "1"


def test_the_command_prints_every_figure(tmp_path, capsys):
    main([str(checkout(tmp_path, ferflow__a="def f():\n    pass\n\n\ndef g():\n    pass\n"))])
    assert "longest chain of imports" in capsys.readouterr().out
