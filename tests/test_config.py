"""Settings: flags before environment before file before defaults; secrets never print."""

from pathlib import Path

import pytest

from flatfare.config import Settings, WeeklyReport, load_settings, require_whole
from flatfare.core.errors import BadInput


def written(folder: Path, text: str) -> Path:
    file = folder / "flatfare.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_hold_where_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environment={"HOME": str(tmp_path)}) == Settings()


def test_flags_before_environment_before_file(tmp_path: Path) -> None:
    file = written(tmp_path, "lake: from-file\ndatabase: from-file\nlisten: 1.2.3.4:5\n")
    environment = {"FLATFARE_LAKE": "from-env", "FLATFARE_DATABASE": "from-env"}
    settings = load_settings(file, environment, lake="from-flag", database=None)
    assert (settings.lake, settings.database, settings.listen) == ("from-flag", "from-env", "1.2.3.4:5")


def test_the_users_own_folder_is_looked_in_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "xdg" / "flatfare"
    folder.mkdir(parents=True)
    written(folder, "lake: theirs\n")
    assert load_settings(environment={"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).lake == "theirs"
    written(tmp_path, "lake: here\n")
    assert load_settings(environment={"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).lake == "here"


def test_secrets_come_from_the_environment_and_never_print(tmp_path: Path) -> None:
    file = written(tmp_path, 'providers:\n  openai: {base_url: "https://a/v1", api_key: "${KEY}"}\n')
    settings = load_settings(file, {"KEY": "sk-very-secret"})
    assert settings.providers["openai"].api_key == "sk-very-secret"
    assert settings.providers["openai"].dialect == "openai"
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datbase: x", "sets 'datbase', which is not known. Did you mean 'database'"),
        ("providers: {a: {base_url: http://a, default_tier: fast}}", "expected one of standard, priority"),
        ("- a\n- b", "holds no settings"),
        ("lake: [", "cannot be read"),
        ("providers:\n  x: {}", "no base_url"),
        ("providers: 5", "write name: value"),
        ("cost_that_counts: guessed", "either 'reported' or 'computed'"),
    ],
)
def test_a_wrong_file_is_refused_naming_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_settings(written(tmp_path, text), {})


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no configuration file"):
        load_settings(tmp_path / "nowhere.yaml", {})


def test_every_setting_can_stand_in_the_file(tmp_path: Path) -> None:
    text = (
        "heads: ./heads\nheads_key: ./key\nseller: {a: 'Firm Ltd'}\n"
        "alerts: {ops: {url: 'https://x/y'}}\nweekly_report: {channels: [ops], day: Friday, hour: 17}\n"
    )
    settings = load_settings(written(tmp_path, text), {})
    assert (settings.heads, settings.heads_key, settings.seller) == ("./heads", "./key", {"a": "Firm Ltd"})
    assert settings.weekly_report == WeeklyReport(("ops",), "friday", 17)


@pytest.mark.parametrize(
    "text",
    [
        "database: 'postgresql://flatfare:${NOT_SET}@db/flatfare'\n",
        "metrics_token: ${NOT_SET}\n",
    ],
)
def test_a_variable_that_is_not_set_is_named_and_never_an_empty_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput, match=r"from \$\{NOT_SET\}, which the environment does not set"):
        load_settings(written(tmp_path, text), {})


@pytest.mark.parametrize("key", ["url", "secret"])
def test_a_channel_that_lacks_a_variable_is_left_out_and_stops_what_sends(tmp_path: Path, key: str) -> None:
    text = f"alerts: {{ops: {{url: 'https://x/y', {key}: '${{NOT_SET}}'}}, mail: {{url: 'mailto://x'}}}}\n"
    settings = load_settings(written(tmp_path, text + "weekly_report: {channels: [ops]}\n"), {})
    assert list(settings.alerts) == ["mail"]
    with pytest.raises(BadInput, match=rf"alerts\.ops\.{key} from \$\{{NOT_SET\}}"):
        require_whole(settings)


def test_a_provider_whose_variable_is_not_set_has_no_credential(tmp_path: Path) -> None:
    text = "providers: {openai: {base_url: 'https://api.openai.com/v1', api_key: '${NOT_SET}'}}\n"
    assert load_settings(written(tmp_path, text), {}).providers["openai"].api_key is None
