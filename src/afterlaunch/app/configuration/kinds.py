"""The kinds of documents, by name, in the order in which they build upon each other."""

from __future__ import annotations

from afterlaunch.app.configuration import (
    alerts,
    budgets,
    datasets,
    gateway,
    guard,
    keeping,
    oncall,
    people,
    prices,
    probing,
    retraining,
    savings,
    schedules,
    scraping,
    sla,
    status_pages,
    systems,
)
from afterlaunch.app.configuration.document import Kind

KINDS: tuple[Kind, ...] = (
    Kind("Client", ("name",), people.CLIENT_FIELDS, people.read_clients, people.put_client_document),
    Kind("Person", ("name",), people.PERSON_FIELDS, people.read_people, people.put_person_document),
    Kind("Contacts", ("person",), people.CONTACTS_FIELDS, people.read_contacts, people.put_contacts),
    Kind("System", ("client", "name"), systems.SYSTEM_FIELDS, systems.read_systems, systems.put_system),
    Kind("Keeping", ("client", "system"), keeping.KEEPING_FIELDS, keeping.read_keeping, keeping.put_keeping),
    Kind("Price", ("client", "name"), prices.FIELDS, prices.read, prices.put),
    Kind("Team", ("client", "name"), oncall.TEAM_FIELDS, oncall.read_teams, oncall.put_team_document),
    Kind("Schedule", ("client", "name"), schedules.SCHEDULE_FIELDS, schedules.read_schedules, schedules.put_schedule),
    Kind("EscalationPolicy", ("client", "name"), oncall.POLICY_FIELDS, oncall.read_policies, oncall.put_policy),
    Kind("BusinessCalendar", ("client", "name"), sla.CALENDAR_FIELDS, sla.read_calendars, sla.put_calendar),
    Kind("SlaPolicy", ("client", "tier"), sla.POLICY_FIELDS, sla.read_policies, sla.put_policy),
    Kind("Support", ("client", "system"), sla.SUPPORT_FIELDS, sla.read_supports, sla.put_support),
    Kind("Target", ("client", "name"), scraping.TARGET_FIELDS, scraping.read_targets, scraping.put_target_document),
    Kind(
        "Integration",
        ("client", "name"),
        alerts.INTEGRATION_FIELDS,
        alerts.read_integrations,
        alerts.put_integration_document,
    ),
    Kind(
        "Heartbeat",
        ("client", "system", "name"),
        probing.HEARTBEAT_FIELDS,
        probing.read_heartbeats,
        probing.put_heartbeat,
    ),
    Kind(
        "MaintenanceWindow", ("client", "name"), alerts.WINDOW_FIELDS, alerts.read_windows, alerts.put_window_document
    ),
    Kind(
        "InhibitionRule",
        ("client", "name"),
        alerts.RULE_FIELDS,
        alerts.read_inhibit_rules,
        alerts.put_inhibit_rule_document,
    ),
    Kind("Dependencies", ("client", "system"), systems.NEEDS_FIELDS, systems.read_needs, systems.put_needs),
    Kind(
        "DataContract",
        ("client", "system", "name"),
        datasets.FIELDS,
        datasets.read,
        datasets.put,
        datasets.LABELS,
    ),
    Kind("Upstream", ("name",), gateway.UPSTREAM_FIELDS, gateway.read_upstreams, gateway.put_upstream_document),
    Kind("Route", ("name",), gateway.ROUTE_FIELDS, gateway.read_routes, gateway.put_route_document),
    Kind("ApprovalQueue", ("client", "name"), guard.QUEUE_FIELDS, guard.read_queues, guard.put_queue_document),
    Kind("GuardPolicy", ("route", "name"), guard.POLICY_FIELDS, guard.read_policies, guard.put_policy_document),
    Kind("RetrainingPolicy", ("client", "system", "name"), retraining.FIELDS, retraining.read, retraining.put),
    Kind("CallerKey", ("client", "name"), gateway.KEY_FIELDS, gateway.read_keys, gateway.put_key),
    Kind("Budget", ("client", "name"), budgets.BUDGET_FIELDS, budgets.read_budgets, budgets.put_budget_document),
    Kind("RouteTerms", ("client", "system", "route"), savings.TERMS_FIELDS, savings.read_terms, savings.put_terms),
    Kind("StatusPage", ("client", "name"), status_pages.FIELDS, status_pages.read, status_pages.put),
    Kind("Probe", ("client", "system", "name"), probing.PROBE_FIELDS, probing.read_probes, probing.put_probe),
)
