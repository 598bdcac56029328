"""A site is there as a whole or not at all, and nothing of somebody else's is ever removed."""

from pathlib import Path

import pytest

from flatfare.core.errors import BadUsage, StoreFailure
from flatfare.web.site.folder import MARK, replaced


def write(target: Path, **files: str) -> None:
    with replaced(target) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_and_its_parents_are_made(tmp_path: Path) -> None:
    write(tmp_path / "a" / "site", page="one")
    assert names(tmp_path / "a" / "site") == [MARK, "page"]


def test_what_flatfare_wrote_is_replaced_whole_with_no_leftovers(tmp_path: Path) -> None:
    write(tmp_path / "site", old="one")
    write(tmp_path / "site", new="two")
    assert names(tmp_path / "site") == [MARK, "new"]
    assert names(tmp_path) == ["site"]


def test_a_failure_halfway_leaves_the_old_site_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "site", page="old")

    def fail() -> None:
        with replaced(tmp_path / "site") as folder:
            (folder / "page").write_text("half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "site" / "page").read_text() == "old"
    assert names(tmp_path) == ["site"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    write(tmp_path / "site", page="one")
    assert (tmp_path / "site" / "page").exists()


def test_a_folder_with_other_peoples_files_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BadUsage, match=r"thesis\.txt"):
        write(tmp_path, page="one")
    assert names(tmp_path) == ["thesis.txt"]


def test_a_file_added_to_a_site_by_hand_is_not_removed(tmp_path: Path) -> None:
    write(tmp_path / "site", page="one")
    (tmp_path / "site" / "notes.txt").write_text("mine")
    with pytest.raises(BadUsage, match=r"notes\.txt"):
        write(tmp_path / "site", page="two")
    assert (tmp_path / "site" / "notes.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    with pytest.raises(BadUsage, match="is a file"):
        write(tmp_path / "site", page="one")


def test_a_place_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailure, match="cannot be written"):
        write(tmp_path / "file" / "site", page="one")
