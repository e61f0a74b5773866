"""A slip of the hand in config/watchlist.yaml stops the desk with file, key, value and bound."""

from pathlib import Path

import pytest

from tests.watchlist.worlds import CONFIG, config_with
from trading_assets.core.errors import ConfigurationError
from trading_assets.watchlist.rules import PriceMin, ViewsAllowed, load_rules


def test_the_committed_rules_load() -> None:
    committed = load_rules(CONFIG)
    assert committed.returns_min == committed.window_sessions - committed.window_missing_max
    assert isinstance(committed.screen[0], PriceMin)
    assert isinstance(committed.screen[-1], ViewsAllowed)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("paths", "99", "paths"),
        ("paths", '"2000"', "paths"),
        ("seed", "-1", "seed"),
        ("horizon_sessions", "0", "horizon_sessions"),
        ("window_sessions", "19", "window_sessions"),
        ("window_missing_max", "250", "fewer than 10 returns"),
        ("block_sessions", "0.5", "block_sessions"),
        ("candidates", "0", "candidates"),
        ("levels", "{stop_atr: 0.0, reward_to_risk: 1.5}", "levels.stop_atr"),
        ("levels", "{stop_atr: 2.0}", "levels.reward_to_risk"),
        ("levels", "{stop_atr: 2.0, reward_to_risk: 1.5, trailing: 1.0}", "levels.trailing"),
        ("filter", "{p_target_min: 1.5, cost_bp: 20.0}", "filter.p_target_min"),
        ("filter", "{p_target_min: 0.35, cost_bp: -1.0}", "filter.cost_bp"),
        ("score", "{momentum: 0.0, trend: 0.0, calm: 0.0}", "at least one weight"),
        ("score", "{momentum: -1.0, trend: 1.0, calm: 1.0}", "score.momentum"),
        ("screen", "[{rule: price_max, usd: 5.0}]", "price_max"),
        ("screen", "[{rule: price_min, usd: 0.0}]", "usd"),
        ("screen", "[{rule: price_min, fraction: 0.1}]", "usd"),
        ("screen", "[{rule: views_allowed, views: []}]", "views"),
        ("screen", "[{rule: views_allowed, views: [bullish]}]", "bullish"),
    ],
)
def test_a_wrong_value_is_refused_by_file_and_key(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"watchlist\.yaml") as refused:
        load_rules(config_with(tmp_path / "config", **{key: value}))
    assert said in str(refused.value)


def test_no_screen_at_all_is_allowed_and_a_missing_file_is_not(tmp_path: Path) -> None:
    assert load_rules(config_with(tmp_path / "config", screen="[]")).screen == ()
    with pytest.raises(ConfigurationError, match="missing"):
        load_rules(tmp_path)
