"""Alerts of other tools in: Prometheus, Alertmanager, PagerDuty events, Grafana, CloudWatch through SNS, any JSON."""
