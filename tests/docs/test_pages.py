"""The generated pages say what the declarations say."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from evaluator.domain.features.catalogue import FEATURES
from evaluator.domain.tables.registry import TABLES
from evaluator.settings import keys, load_settings

ROOT = Path(__file__).resolve().parents[2]


def generator():
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_the_page_is_up_to_date(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == GENERATE.PAGES[name](), "run python docs/generate.py"


def test_a_changed_or_missing_page_is_named(tmp_path):
    (tmp_path / "docs").mkdir()
    for name, text in GENERATE.PAGES.items():
        (tmp_path / name).write_text(text(), encoding="utf-8")
    (tmp_path / "docs" / "features.md").write_text("old", encoding="utf-8")
    (tmp_path / "evaluator.example.toml").unlink()
    assert GENERATE.stale(tmp_path) == ["docs/features.md", "evaluator.example.toml"]


def test_the_dictionary_has_every_table_and_column():
    text = GENERATE.data_dictionary()
    for table in TABLES:
        section = text.split(f"\n### {table.name}\n")[1].split("\n### ")[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)[: len(table.columns)] == [
            column.name for column in table.columns
        ]


def test_the_features_stand_in_their_order():
    names = re.findall(r"^\| `(\w+)` \|", GENERATE.feature_page(), re.MULTILINE)
    assert names == [feature.name for feature in FEATURES]


def test_the_settings_page_has_every_key_with_its_variable():
    text = GENERATE.settings_page()
    for key in keys():
        assert f"| `{key.name}` |" in text
        assert f"| `{key.variable}` |" in text


def test_the_example_uncommented_is_the_default_configuration(tmp_path, monkeypatch):
    lines = (ROOT / "evaluator.example.toml").read_text(encoding="utf-8").splitlines()
    text = "\n".join(re.sub(r"^# (\w+ = )", r"\1", line) for line in lines)
    assert len(tomllib.loads(text)) > 4
    monkeypatch.chdir(tmp_path)
    defaults = load_settings()
    (tmp_path / "evaluator.toml").write_text(text, encoding="utf-8")
    assert load_settings() == defaults
