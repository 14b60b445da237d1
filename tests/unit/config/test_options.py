"""The table of options and the `Config` that it makes."""

import pickle

import pytest

from bicorn.config import Config
from bicorn.config.option import Positional
from bicorn.config.options import BY_NAME, GROUPS, OPTIONS
from bicorn.config.sources import flags
from bicorn.config.values import Several, Switch


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_option_is_complete(option: Positional) -> None:
    assert option.group in GROUPS
    assert option.env == f"BICORN_{option.name.upper()}"
    assert option.help
    assert option.kind.allowed
    assert not option.help.endswith(".")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_default_is_within_its_own_range(option: Positional) -> None:
    shown = option.shown(option.default)
    if shown:
        assert option.kind.parse(shown) == option.default


def test_no_two_options_share_a_flag() -> None:
    spellings = [
        flag
        for option in OPTIONS
        if not isinstance(option, Positional)
        for flag in (
            option.flag,
            *option.aliases,
            *(option.kind.parts if isinstance(option.kind, Several) else ()),
            *(["--no-" + option.flag[2:]] if isinstance(option.kind, Switch) else []),
        )
    ]
    assert len(spellings) == len(set(spellings))
    assert set(spellings) == set(flags())


def test_a_config_has_every_default() -> None:
    config = Config()
    assert config.bind == ("127.0.0.1:8000",)
    assert config.limit_body == 1 << 30
    assert config.keep_alive_timeout == 15.0
    assert config.chdir is None
    assert {config.origin(name) for name in BY_NAME} == {"default"}


def test_a_config_is_frozen() -> None:
    config = Config(workers=2)
    assert (config.workers, config.origin("workers")) == (2, "argument")
    with pytest.raises(AttributeError, match="frozen: workers"):
        config.workers = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        config.other = 3  # type: ignore[attr-defined]


def test_a_config_takes_no_unknown_name() -> None:
    with pytest.raises(TypeError, match="no such option: worker"):
        Config(worker=1)


def test_configs_compare_by_value_and_survive_pickling() -> None:
    config = Config({"workers": "flag -w"}, workers=2)
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert hash(again) == hash(config)
    assert again.origin("workers") == "flag -w"
    assert config != Config()
    assert config != "config"
    assert repr(config) == "Config(workers=2)"
