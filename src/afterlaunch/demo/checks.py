"""Whether the story came out right. Pure."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from afterlaunch.demo.director import BAD_CHANGE, Facts

WINDOW = timedelta(hours=3)
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Check:
    name: str
    good: bool
    said: str


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _report_tells(facts: Facts, spent: Decimal) -> tuple[bool, str]:
    """Both formats link to the incident and tell the sum of the spend, to the last digit."""
    said = [f"{form}: nothing written" for form in ("html", "md") if form not in facts.reports]
    for form, text in facts.reports.items():
        told = {Decimal(one.replace(",", "")) for one in re.findall(r"\$([\d,]+\.\d+)", text)}
        said += [] if spent in told else [f"{form}: ${spent} is not in it"]
        said += [] if f"/incidents/{facts.incident.get('id')}" in text else [f"{form}: the incident is not in it"]
    return not said, "; ".join(said) or f"HTML and Markdown, with the incident and ${spent}"


def check(facts: Facts) -> list[Check]:
    incident, rollback = facts.incident, facts.rollback
    opened = _moment(incident.get("detected_at"))
    pages = [mail for mail in facts.mails if incident and incident.get("title", "?") in mail.subject + mail.text]
    ids = Counter(mail.message_id for mail in pages)
    spent = sum((Decimal(row["cost_usd"]) for row in facts.spend), Decimal(0))
    calls = sum(row["calls"] - row["calls_with_unknown_cost"] for row in facts.spend)
    late = opened - BAD_CHANGE if opened else None
    return [
        Check("incident opened in time", late is not None and timedelta(0) <= late <= WINDOW, f"after {late}"),
        Check("severity", incident.get("severity") == "P2", f"{incident.get('severity')}, expected P2"),
        Check("page delivered once", bool(ids) and max(ids.values()) == 1, f"{len(pages)} mails, {len(ids)} pages"),
        Check("acknowledged by link", facts.acknowledged, "through the mail's link"),
        Check("rollback verified", bool(rollback.get("verified_at")), rollback.get("verification", "no rollback")),
        Check("spend equals the bill", abs(spent - facts.billed) < CENT, f"${spent:.6f} against ${facts.billed:.6f}"),
        Check("every billed call counted", calls == facts.billed_calls, f"{calls} of {facts.billed_calls}"),
        Check("report written", *_report_tells(facts, spent)),
        Check("evidence verifies", facts.verify_code == 0, f"afterlaunch verify ended with {facts.verify_code}"),
    ]
