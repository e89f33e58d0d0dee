"""The rules of `docs/architecture.md` on which room may import which, kept by reading the imports of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "monai_proto"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_MODULES = 32

# a room, and the rooms that it may never import
BENEATH = {"networks", "losses", "metrics", "optimizers"}
PROGRAMS = {"apps", "cli", "compat"}
ALONE = {"extras", "folders", "machine", "moved_names"}  # modules at the top, which every room may import
ROOMS = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
FORBIDDEN = {
    **dict.fromkeys(BENEATH, ROOMS - BENEATH),
    "data": {"preparation", "dicom", "transforms"},
    "preparation": {"engines", "handlers"},
    "dicom": {"engines", "handlers"},
    "workflows": ROOMS,
    **dict.fromkeys(ALONE, ROOMS),
}
MAY_START_PROGRAMS = {"cli": {"apps", "cli"}, "apps": {"apps"}, "compat": {"compat"}, "__main__": {"cli"}}


class Import(NamedTuple):
    """One import of another room: where it stands and what it asks for."""

    place: str
    room: str
    module: str
    imported: str


def test_beneath_the_others_and_no_program_is_imported():
    broken = [
        f"{found.place} imports {found.module}: {found.room} may not import {found.imported}"
        for found in imports()
        if found.imported in forbidden(found.room)
    ]
    assert not broken, "\n".join(broken)


def test_no_two_rooms_import_each_other():
    edges: dict[tuple[str, str], list[Import]] = {}
    for found in imports():
        edges.setdefault((found.room, found.imported), []).append(found)
    broken = [
        f"{room} and {other} import each other: {edges[room, other][0].place} imports {edges[room, other][0].module}, "
        f"{edges[other, room][0].place} imports {edges[other, room][0].module}"
        for room, other in edges
        if room < other and (other, room) in edges
    ]
    assert not broken, "\n".join(broken)


def test_rooms_can_be_put_in_an_order():
    below: dict[str, set[str]] = {room: set() for room in ROOMS}
    for found in imports():
        if found.room in ROOMS:
            below[found.room].add(found.imported)
    while free := [room for room, others in below.items() if not others & below.keys()]:
        for room in free:
            del below[room]
    assert not below, f"these rooms import each other in a circle: {below}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_no_folder_is_a_heap(folder):
    modules = [path.name for path in folder.glob("*.py")]
    assert len(modules) <= MOST_MODULES, f"{folder.relative_to(PACKAGE.parent)} holds {len(modules)} modules"


def test_no_module_hides_a_name_of_its_room():
    """A module takes its own name in its package once it is imported; what the package exports is called otherwise."""
    hidden = [
        f"{folder}/{alias.name}.py hides {alias.name} of {node.module}"
        for init in PACKAGE.rglob("__init__.py")
        for folder in [init.parent.relative_to(PACKAGE.parent)]
        for node in ast.walk(ast.parse(init.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module != ".".join(init.parent.relative_to(PACKAGE.parent).parts)
        for alias in node.names
        if (init.parent / f"{alias.name}.py").is_file()
        and not node.module.endswith(f".{alias.name}")
        and node.module != ".".join(folder.parts)  # the module itself
    ]
    assert not hidden, "\n".join(hidden)


def test_the_rules_see_what_they_are_about(tmp_path):
    """An import that breaks a rule is found: at the top of a module, in a function, and under TYPE_CHECKING."""
    module = tmp_path / "monai_proto" / "losses" / "new.py"
    module.parent.mkdir(parents=True)
    module.write_text("from monai_proto import engines\n\ndef late():\n    import monai_proto.data.datalist\n")
    found = list(imports_of(module, tmp_path / "monai_proto"))
    assert [(one.room, one.imported) for one in found] == [("losses", "engines"), ("losses", "data")]
    assert all(one.imported in forbidden(one.room) for one in found)


def imports() -> Iterator[Import]:
    for module in MODULES:
        yield from imports_of(module, PACKAGE)


def imports_of(module: Path, package: Path) -> Iterator[Import]:
    """Imports of other rooms, wherever in the module they stand."""
    parts = module.relative_to(package).with_suffix("").parts
    room = parts[0]
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == package.name:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            names = [node.module or ""]
        for name in names:
            imported = name.split(".")[1:2] if name.split(".")[0] == package.name else []
            if imported and imported[0] != room and (package / imported[0]).is_dir() | (imported[0] in ROOMS):
                place = f"{module.relative_to(package.parent)}:{node.lineno}"
                yield Import(place, room, name, imported[0])


def forbidden(room: str) -> set[str]:
    """Rooms that a room may not import."""
    return FORBIDDEN.get(room, set()) | (PROGRAMS - MAY_START_PROGRAMS.get(room, set()))
