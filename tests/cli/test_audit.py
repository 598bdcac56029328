"""``flatfare audit verify`` says what it looked at, and what is still to be done."""

from pathlib import Path

from click.testing import CliRunner

from flatfare.cli.root import root


def test_an_empty_book_has_nothing_to_sign(tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    CliRunner().invoke(root, ["budgets", "list", *given])  # makes the book
    told = CliRunner().invoke(root, ["audit", "verify", "--table", *given])
    assert told.exit_code == 0
    assert "There is nothing to sign yet." in told.stdout


def test_records_that_no_head_vouches_for_are_to_be_signed(tmp_path: Path) -> None:
    given = ["--database", f"sqlite:///{tmp_path}/b.db", "--lake", str(tmp_path / "lake")]
    CliRunner().invoke(root, ["keys", "create", "--name", "web", *given])
    told = CliRunner().invoke(root, ["audit", "verify", "--no-sign", "--table", *given])
    assert told.exit_code == 0
    assert "leave out --no-sign" in told.stdout
