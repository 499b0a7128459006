"""The entries of the menu, by name."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

MENU: tuple[tuple[str, str, str], ...] = (
    # (label, address, icon name in look/icons)
    ("Overview", "/", "overview"),
    ("Incidents", "/incidents", "incident"),
    ("Alerts", "/alerts", "alert"),
    ("On-call", "/oncall", "oncall"),
    ("Promised times", "/sla", "promise"),
    ("Status pages", "/status-pages", "status"),
    ("Systems", "/systems", "system"),
    ("Changes", "/changes", "change"),
    ("SLOs", "/slos", "slo"),
    ("Probes", "/probes", "probe"),
    ("Anomalies", "/anomalies", "anomaly"),
    ("Guard", "/guard", "guard"),
    ("Calls", "/calls", "call"),
    ("Logs", "/logs", "log"),
    ("Metrics", "/explorer", "metric"),
    ("Infrastructure", "/infrastructure", "infrastructure"),
    ("Targets", "/targets", "target"),
    ("Spend", "/spend", "spend"),
    ("Budgets", "/budgets", "budget"),
    ("Reports", "/reports", "report"),
    ("Evidence", "/evidence", "evidence"),
    ("Settings", "/settings", "settings"),
)
# a line above these: what to answer, what to look after, what to look into, what to account for
BEGINS = ("/incidents", "/systems", "/calls", "/spend")
# addresses that are shown under an entry of another beginning
SHOWN_UNDER = {
    "/traces/": "/calls",
    **dict.fromkeys(("/silences", "/maintenance", "/inhibition", "/integrations"), "/alerts"),
}
SETTINGS: tuple[tuple[str, str], ...] = (
    # tabs of the settings pages: (label, address)
    ("Tokens and people", "/settings"),
    ("Your contact methods", "/settings/contacts"),
    ("Linked accounts", "/settings/accounts"),
    ("Channels", "/settings/channels"),
    ("Deliveries", "/settings/deliveries"),
    ("Gateway", "/settings/gateway"),
    ("Keeping", "/settings/keeping"),
    ("Server", "/settings/server"),
)


def menu(request: HttpRequest) -> dict[str, Any]:
    """The entry whose address is the longest beginning of the path is the current one."""
    path = next((shown for begin, shown in SHOWN_UNDER.items() if request.path.startswith(begin)), request.path)
    begins = [
        address for _, address, _ in MENU if path == address or (address != "/" and path.startswith(address + "/"))
    ]
    current = max(begins, key=len, default="")
    return {
        "menu": [
            {
                "label": label,
                "address": address,
                "icon": icon,
                "current": address == current,
                "begins": address in BEGINS,
            }
            for label, address, icon in MENU
        ],
        "settings_tabs": SETTINGS,
    }
