"""Bills against what was settled, as a verdict: a difference beyond the tolerance opens an incident like any breach.

1. Each client and provider that ever had a bill is judged by the months that bills tell of, the last one and this one;
a day that was still running when its bill was imported waits for the next bill. 2. The worse month is the verdict's.
3. The verdict is of the system that spent most with the provider, and stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import Max

from afterlaunch.accounts.models import Client
from afterlaunch.estate.models import System
from afterlaunch.look.formats import money
from afterlaunch.prices.bundled import provider_id
from afterlaunch.spend.billing import Month, days_of, month_of_provider, windows_of
from afterlaunch.spend.models import Bill
from afterlaunch.spend.reconcile import MONEY, TOKENS, Outcome
from afterlaunch.telemetry.queries import stretches
from afterlaunch.verdicts import watch
from afterlaunch.verdicts.models import Verdict
from afterlaunch.verdicts.words import Finding, Scope, Status

MOST_REASONS = 3


@dataclass(frozen=True)
class Reconciliation:
    name: str = "spend.reconciliation"
    title: str = "The provider's bill differs"
    explanation: str = "A bill has over 0.1 % of tokens or 0.5 % of money that neither telemetry nor its gaps explain."
    severity: str = "P3"


JUDGE = Reconciliation()


def judge(now: datetime) -> None:
    """A verdict for every client and provider that ever had a bill."""
    this = now.astimezone(UTC).date().replace(day=1)
    firsts = [(this - timedelta(days=1)).replace(day=1), this]
    billed: dict[int, dict[str, date]] = {}
    for client, provider, last in Bill.objects.values_list("client", "provider").annotate(Max("last_day")).order_by():
        billed.setdefault(client, {})[provider] = last
    findings = []
    for row in Client.objects.filter(pk__in=billed).order_by("slug"):
        windows = {first: windows_of(row, *days_of(first)) for first in firsts}
        for provider, last in sorted(billed[row.pk].items()):
            found = [month_of_provider(row, provider, first, windows[first], closed=True) for first in firsts]
            scope = _scope(row, provider, firsts[0], now)
            if scope is not None:
                findings.append((scope, JUDGE, finding(provider, found, last)))
    watch.write(findings, now)


def finding(provider: str, months: Sequence[Month], last: date) -> Finding:
    """`last`: the newest day that any bill of the provider tells."""
    told = [one for one in months if one.outcome.status != "not_assessed"]
    if not told:
        said = f"No bill of {provider} for this month or the last one; the newest tells until {last}."
        return Finding(JUDGE.name, Status.NOT_ASSESSED, "no_bill", said)
    worst = max(told, key=lambda one: (one.outcome.status == "breach", one.first))
    out = worst.outcome
    status = Status.BREACH if out.status == "breach" else Status.OK
    share, limit = _share(out)
    evidence: dict[str, str | int | float | None] = {
        "month": f"{worst.first:%Y-%m}",
        "billed_nano": out.billed_nano,
        "settled_nano": out.settled_nano,
        "reserved_nano": out.held.reserved_nano if out.held and out.held.priced else None,
        "billed_tokens": out.billed_tokens,
        "settled_tokens": out.settled_tokens,
        **{f"explained_{name}_nano": nano for name, nano in out.explained.items()},
        **{f"unexplained_{name}_nano": nano for name, nano in out.unexplained.items()},
    }
    said = f"{provider}, {worst.first:%Y-%m} until {worst.last}: {words(out)}"
    return Finding(JUDGE.name, status, out.reason, said, share, limit, "share", out.calls, evidence)


def _share(out: Outcome) -> tuple[float | None, float]:
    """What is unexplained of what was billed, and how much may be."""
    if out.reason == "tokens_outside_tolerance" or out.billed_nano is None:
        return (out.unexplained_tokens / out.billed_tokens if out.billed_tokens else None), float(TOKENS)
    return (out.unexplained_nano / abs(out.billed_nano) if out.billed_nano else None), float(MONEY)


def words(out: Outcome) -> str:
    """What was billed and settled, and what the difference is made of."""
    said = ""
    if out.billed_tokens is not None:
        said = f"{out.billed_tokens:,} tokens billed, {out.settled_tokens:,} settled"
        said += f" ({out.unexplained_tokens:,} apart for no known reason). " if out.unexplained_tokens else ". "
    if out.billed_nano is not None:
        said += f"{money(out.billed_nano)} billed, {money(out.settled_nano)} settled; "
        said += f"unexplained {_reasons(out.unexplained)}" if out.unexplained else "nothing unexplained"
        said += f", explained {_reasons(out.explained)}." if out.explained else "."
    return said.strip()


def _reasons(parts: dict[str, int]) -> str:
    largest = sorted(parts.items(), key=lambda one: -abs(one[1]))[:MOST_REASONS]
    return ", ".join(f"{name.replace('_', ' ')} {money(nano)}" for name, nano in largest)


def _scope(client: Client, provider: str, first: date, now: datetime) -> Scope | None:
    """The verdict's own if there is one; else where most was spent with the provider lately, or by the client at all;
    else its first system. None: it has no system, and nobody could be told."""
    kept = Verdict.objects.filter(judge=JUDGE.name, client=client.slug, provider=provider).first()
    if kept is not None and System.objects.filter(client=client, key=kept.system).exists():
        return Scope(client.slug, kept.system, kept.environment, provider=provider)
    systems = dict(System.objects.filter(client=client).order_by("key").values_list("key", "pk"))
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    rows = stretches([start, now], ["provider", "system", "environment"], frozenset({client.slug}))
    known = [row for row in rows if row.key["system"] in systems]
    rows = [row for row in known if provider_id(row.key["provider"] or "") == provider] or known
    if rows:
        most = max(rows, key=lambda row: (row.cost_nano, row.calls))
        return Scope(client.slug, most.key["system"] or "", most.key["environment"] or "prod", provider=provider)
    return Scope(client.slug, next(iter(systems)), "prod", provider=provider) if systems else None
