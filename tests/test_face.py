"""The package's face is what it says, and importing it costs nothing."""

import subprocess
import sys

import pytest

import flatfare


def test_the_face_is_this_and_no_more() -> None:
    names = ["Metered", "__version__", "headers", "meter", "signal", "task", "verdict", "wrap"]
    assert sorted(flatfare.__all__) == names
    for name in flatfare.__all__:
        assert getattr(flatfare, name) is not None


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="no attribute 'token'"):
        _ = flatfare.token  # type: ignore[attr-defined]


def test_importing_it_imports_no_third_party_module() -> None:
    probe = (
        "import sys; before = set(sys.modules); import flatfare\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "assert new <= {'flatfare', 'typing', 'collections', 'contextlib', 're', 'functools', 'operator'} | "
        "set(sys.stdlib_module_names), new"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
