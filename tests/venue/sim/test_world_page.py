"""The page about the simulated world names what there is."""

from dataclasses import fields
from pathlib import Path

import pytest

from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.styles import STYLES

PAGE = (Path(__file__).parents[3] / "docs" / "simulated-venue.md").read_text()


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_page_names_every_style_and_its_skill(style):
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {style.name} |"))
    if style.skill:
        assert f"| {style.skill:g}".replace("0.", ".") in row


@pytest.mark.parametrize("rule", fields(WorldRules), ids=lambda rule: rule.name)
def test_the_page_names_every_rule_and_its_default(rule):
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{rule.name}` |"))
    default = WorldRules().start.date() if rule.name == "start" else rule.default
    shown = f"{default:g}".replace("0.", ".") if isinstance(default, float) else str(default)
    assert f"| {shown} |" in row
