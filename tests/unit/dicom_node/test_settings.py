"""quartet.toml is read whole or refused with a text that says what to do."""

import tomllib
from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from dicom_node.settings import Settings, load, parse


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"asociation": {}}, "did you mean association"),
        ({"association": {"ae_titel": "X"}}, "did you mean ae_title"),
        ({"destinations": [{"name": "pacs", "hots": "x"}]}, "did you mean host"),
        ({"association": {"peers": [{"ae_title": "A", "adresses": []}]}}, "did you mean addresses"),
        ({"association": {"ae_title": "SEVENTEENLETTERSX"}}, "16 characters"),
        ({"association": {"port": 70000}}, "association.port"),
        ({"study": {"expected_slots": ["CUBE"]}}, "expected_slots"),
        ({"destinations": [{"name": "a"}, {"name": "a"}]}, "two destinations are named a"),
    ],
)
def test_a_fault_is_named_with_the_key_and_the_nearest_known_one(raw: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse(raw, source="quartet.toml")


def test_a_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"quartet\.example\.toml"):
        load(tmp_path / "quartet.toml")


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "quartet.toml"
    path.write_text("[association\n")
    with pytest.raises(SettingsError, match="line 1"):
        load(path)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().association.port = 1  # type: ignore[misc]


def test_the_example_file_shows_every_default() -> None:
    example = Path(__file__).parents[3] / "deploy" / "quartet.example.toml"
    found = load(example).model_dump(exclude={"worker"})
    assert found == Settings().model_dump(exclude={"worker"})
    shown = tomllib.loads(example.read_text())
    hidden = {"association": {"tls", "peers"}, "retry": {"give_up_after_s"}, "slots": {"rules"}}
    for name, section in Settings().model_dump(exclude={"worker", "destinations"}).items():
        assert set(section) - hidden.get(name, set()) == set(shown[name]), name
