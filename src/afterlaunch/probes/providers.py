"""Judge of what we depend on, from the calls that were made anyway. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from afterlaunch.verdicts.words import Finding, View, judge_share


@dataclass(frozen=True)
class ProviderHealth:
    per: tuple[str, ...] = ("provider",)
    name: str = "probes.provider_health"
    title: str = "Provider health"
    explanation: str = "More than 2 % of the calls to a provider fail through the provider's fault."
    severity: str = "P2"
    limit: float = 0.02

    def assess(self, view: View) -> Finding:
        recent = view.recent
        return judge_share(self.name, "failed at the provider", recent.provider_faults, recent.calls, self.limit)
