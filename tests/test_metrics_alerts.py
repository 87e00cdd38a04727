"""What the metrics say of alerts."""

from __future__ import annotations

from appliance.metrics import METRICS, OTHER, Metrics
from appliance.metrics_alerts import ALERT_SPECS


def test_alerts_are_counted_without_a_word_from_outside() -> None:
    """No label holds an address, and nobody can make the numbers grow without end."""
    metrics = Metrics()
    metrics.know(rules=["harm"])
    metrics.alert_sent("mail", 1.0)
    metrics.alert_failed("dsl@school.example")
    metrics.alert_answers("harm", 3, 1)
    metrics.alert_answers("Ada Example", 1, 0)
    metrics.alerts_standing(waiting=2, oldest=5.0, undelivered=1, without_recipient=0, unacknowledged=4)
    metrics.alerts_looked(1_000.0)
    text = metrics.text()
    assert 'gateway_alerts_sent_total{channel="mail"} 1.0' in text
    assert f'gateway_alert_failures_total{{channel="{OTHER}"}} 1.0' in text
    assert 'gateway_alert_answers{rule="harm",useful="yes"} 3.0' in text
    assert "gateway_alerts_unacknowledged 4.0" in text
    assert "Ada" not in text
    assert "school.example" not in text
    assert set(ALERT_SPECS) <= set(METRICS)
