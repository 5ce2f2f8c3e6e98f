from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pipelines.settings import SETTINGS, Settings


def test_defaults():
    """With nothing given every setting has its default, and each default is allowed."""
    settings = Settings.of({})
    for setting in SETTINGS:
        assert getattr(settings, setting.name) == setting.default


def test_given_values():
    """A value that is given counts; one that no setting is named after is passed over."""
    settings = Settings.of({"window_days": 3, "delivery": "at-least-once", "verbose": True})
    assert (settings.window_days, settings.delivery) == (3, "at-least-once")
    assert settings.window_ms == 3 * 24 * 3600 * 1000


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_limits(setting):
    """A value outside its limits is refused, by the flag's name and with what is allowed."""
    bad = {"no such choice"} if setting.choices else set()
    if setting.at_least is not None:
        assert Settings.of({setting.name: setting.at_least})
        bad.add(setting.at_least - 1)
    if setting.at_most is not None:
        assert Settings.of({setting.name: setting.at_most})
        bad.add(setting.at_most + 1)
    for value in bad:
        with pytest.raises(ValueError, match=f"{setting.flag} is"):
            Settings.of({setting.name: value})


def test_each_setting_explains_itself():
    """Every setting has a sentence, and flags and variables are its name in their spelling."""
    for setting in SETTINGS:
        assert setting.about.endswith("."), setting.name
        assert setting.flag == "--" + setting.name.replace("_", "-")
        assert setting.variable == "KHABAR_" + setting.name.upper()


def test_topics():
    """Topics are named after the prefix."""
    assert Settings.of({}).topic("dead-letters") == "news.dead-letters"
    assert Settings.of({"topic_prefix": "test"}).topic("raw") == "test.raw"


def test_settings_do_not_change():
    """Settings are a value: equal when they say the same, and nobody changes them under way."""
    assert {Settings.of({}): 1}[Settings.of({})] == 1
    with pytest.raises(FrozenInstanceError):
        Settings.of({}).group = "other"  # type: ignore[misc]
