"""What to paste into the other tool. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

KEY = "YOUR_KEY"


def snippet(kind: str, base: str, public_id: str, key: str = KEY, timestamp_header: str = "") -> str:
    """`base`: the public address of this server. `key` stands in it once, right after it was made."""
    parts = urlsplit(base)
    texts = {
        "prometheus": f"""# prometheus.yml
alerting:
  alertmanagers:
    - scheme: {parts.scheme}
      basic_auth:
        username: afterlaunch
        password: {key}
      static_configs:
        - targets: ["{parts.netloc}"]

# amtool: ~/.config/amtool/http.yml with the same basic_auth, then
# amtool --alertmanager.url={base} --http.config.file=http.yml silence query
""",
        "alertmanager": f"""# alertmanager.yml
receivers:
  - name: afterlaunch
    webhook_configs:
      - url: {base}/hooks/alertmanager
        send_resolved: true
        http_config:
          authorization:
            credentials: {key}
""",
        "grafana": f"""# Contact point of the type webhook
URL: {base}/hooks/grafana
HTTP method: POST
Authorization header, scheme: Bearer
Authorization header, credentials: {key}

# or signed, with a signing secret from this page:
URL: {base}/hooks/grafana/{public_id}
HMAC signature, secret: the signing secret
HMAC signature, timestamp header: {timestamp_header or "X-Grafana-Alerting-Timestamp"}
""",
        "pagerduty": f"""# Any client of PagerDuty's Events API v2
address:     {base}/v2/enqueue
changes:     {base}/v2/change/enqueue
routing_key: {key}

curl -X POST {base}/v2/enqueue -H 'Content-Type: application/json' \\
  -d '{{"routing_key": "{key}", "event_action": "trigger", "dedup_key": "try",
       "payload": {{"summary": "A try", "source": "me", "severity": "info"}}}}'
""",
        "sns": f"""# A subscription of the topic, protocol HTTPS, raw message delivery off
aws sns subscribe --topic-arn YOUR_TOPIC_ARN --protocol https \\
  --notification-endpoint {base}/hooks/sns/{key}
aws sns set-topic-attributes --topic-arn YOUR_TOPIC_ARN \\
  --attribute-name SignatureVersion --attribute-value 2
""",
        "generic": f"""curl -X POST {base}/hooks/generic -H 'Authorization: Bearer {key}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"name": "Queue grows", "status": "firing", "severity": "warning", "summary": "9000 jobs wait"}}'
""",
    }
    return texts[kind]
