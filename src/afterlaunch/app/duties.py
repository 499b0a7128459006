"""The list of duties, by name, in the order in which a cycle runs them."""

from __future__ import annotations

from datetime import datetime

from afterlaunch.agents import duties as agents
from afterlaunch.alerts.actions import work
from afterlaunch.alerts.maintenance import turn_windows
from afterlaunch.alerts.raising import raise_due
from afterlaunch.alerts.silences import announce_ends
from afterlaunch.anomalies import duties as anomalies
from afterlaunch.answers import duties as answers
from afterlaunch.app import waiting
from afterlaunch.app.judges import JUDGES, TITLES
from afterlaunch.budgets import duties as budgets
from afterlaunch.changes.duties import contain_by_policy, note_told_changes, note_versions, verify_rollbacks
from afterlaunch.datasets import duties as datasets
from afterlaunch.diagnosis.duties import at_open as diagnose
from afterlaunch.engine.duties import Duty
from afterlaunch.evidence.checkpoints import sign_when_grown
from afterlaunch.guard import duties as guard
from afterlaunch.incidents.audit import audit_paging
from afterlaunch.incidents.containment.duties import see_recovery
from afterlaunch.incidents.platform import tell_exhausted
from afterlaunch.incidents.reviews.duties import follow_reviews
from afterlaunch.incidents.updates.duties import page_for_updates
from afterlaunch.labels import duties as labels
from afterlaunch.notify.duties import remind, send_pages
from afterlaunch.oncall.duties import escalate, hand_over, look_for_gaps, refresh_calendars
from afterlaunch.predictions import duties as predictions
from afterlaunch.probes import duties as probing
from afterlaunch.receivers.duties import forget_raw_events
from afterlaunch.replies.duties import act_on_replies, forget_replies
from afterlaunch.reports.tokens.sealing import seal_final
from afterlaunch.retraining import duties as retraining
from afterlaunch.savings import duties as savings
from afterlaunch.scraping.duties import scrape
from afterlaunch.sla.duties import look_at_hours, take_over, watch_clocks
from afterlaunch.slo import duties as slo
from afterlaunch.spend.attributing import judge as judge_attribution
from afterlaunch.spend.billed import judge as reconcile
from afterlaunch.spend.explaining import behind, explained
from afterlaunch.spend.mix_judging import judge as judge_mix
from afterlaunch.spend.repricing import work as reprice
from afterlaunch.status_pages import duties as status_pages
from afterlaunch.telemetry.duties import add_up, notice_systems, settle_aggregates
from afterlaunch.telemetry.keeping.duties import erase_asked, forget_old, weigh
from afterlaunch.verdicts import watch


def run_judges(now: datetime) -> None:
    watch.run(JUDGES, now, explain=explained)


def raise_alerts(now: datetime) -> None:
    work(now, {name: title for name, (title, _) in TITLES.items()} | slo.titles())


DUTIES: tuple[Duty, ...] = (
    Duty("scraping.scrape", 5, scrape, apart=True),
    Duty("telemetry.notice_systems", 15, notice_systems),
    Duty("telemetry.settle_aggregates", 60, settle_aggregates),
    Duty("telemetry.add_up", 300, add_up),
    Duty("telemetry.forget", 900, forget_old),
    Duty("telemetry.erase", 15, erase_asked),
    Duty("telemetry.weigh", 600, weigh),
    Duty("verdicts.watch", 30, run_judges),
    Duty("slo.judge", 30, slo.judge),
    Duty("predictions.judge", 60, predictions.judge),
    Duty("predictions.forget", 3_600, predictions.forget),
    Duty("answers.describe", 120, answers.describe, apart=True),
    Duty("answers.judge", 60, answers.judge),
    Duty("answers.forget", 3_600, answers.forget),
    Duty("datasets.judge", 30, datasets.judge),
    Duty("datasets.tidy", 3_600, datasets.tidy),
    Duty("labels.join", 60, labels.join),
    Duty("labels.forget", 3_600, labels.forget),
    Duty("budgets.observe", 60, budgets.observe),
    Duty("budgets.judge", 15, budgets.judge, follows="budgets.observe"),
    Duty("budgets.tidy", 3_600, budgets.tidy),
    Duty("agents.judge", 60, agents.judge),
    Duty("anomalies.follow", 300, lambda now: anomalies.follow(now, behind), apart=True),
    Duty("guard.judge", 30, guard.judge),
    Duty("guard.wait", 5, guard.wait),
    Duty("guard.tidy", 3_600, guard.tidy),
    Duty("spend.reprice", 5, reprice, apart=True),
    Duty("spend.attribute", 300, judge_attribution, apart=True),
    Duty("spend.mix", 300, judge_mix, apart=True),
    Duty("spend.reconcile", 600, reconcile, apart=True),
    Duty("savings.find", 21_600, savings.find, apart=True),
    Duty("savings.measure", 600, savings.measure, apart=True),
    Duty("reports.seal", 3_600, seal_final, apart=True),
    Duty("alerts.work", 15, raise_alerts, follows="verdicts.watch"),
    Duty("alerts.maintenance", 5, turn_windows, rows=waiting.WINDOWS),
    Duty("alerts.announce_ends", 60, announce_ends),
    Duty("alerts.raise", 5, raise_due, follows="alerts.work", rows=waiting.GROUPS),
    Duty("changes.contain", 5, contain_by_policy, follows="verdicts.watch"),
    Duty("changes.verify_rollbacks", 5, verify_rollbacks),
    Duty("changes.note_versions", 60, note_versions),
    Duty("diagnosis.at_open", 5, diagnose, apart=True),
    Duty("changes.note_told", 15, note_told_changes),
    Duty("retraining.decide", 60, retraining.decide_all),
    Duty("retraining.run", 5, retraining.work, apart=True),
    Duty("receivers.forget", 900, forget_raw_events),
    Duty("oncall.handoffs", 5, hand_over, rows=waiting.HANDOFFS),
    Duty("oncall.calendars", 60, refresh_calendars, apart=True),
    Duty("oncall.gaps", 60, look_for_gaps, rows=waiting.GAPS),
    Duty(probing.running(), 1, probing.run_probes, apart=True),
    Duty("probes.judge", 15, probing.judge_probes),
    Duty("probes.tidy", 3_600, probing.tidy),
    Duty("probes.heartbeats", 15, probing.look_at_heartbeats),
    Duty("status_pages.follow", 15, status_pages.follow_incidents),
    Duty("status_pages.write", 60, status_pages.write_files),
    Duty("status_pages.send", 5, status_pages.send_letters, apart=True),
    Duty("oncall.escalate", 5, escalate, follows="alerts.raise", rows=waiting.ESCALATIONS),
    Duty("notify.send_pages", 2, send_pages, apart=True, rows=waiting.PAGES),
    Duty("notify.remind", 3600, remind),
    Duty("replies.act", 2, act_on_replies, apart=True, rows=waiting.REPLIES),
    Duty("replies.forget", 86_400, forget_replies),
    Duty("incidents.platform", 5, tell_exhausted, follows="oncall.escalate", rows=waiting.EXHAUSTED),
    Duty("incidents.audit_paging", 60, audit_paging, apart=True),
    Duty("incidents.containment", 15, see_recovery, rows=waiting.MEASURES),
    Duty("incidents.updates", 15, page_for_updates, rows=waiting.PROMISES),
    Duty("incidents.reviews", 60, follow_reviews),
    Duty("sla.clocks", 5, watch_clocks, rows=waiting.CLOCKS),
    Duty("sla.take_over", 5, take_over, rows=waiting.HANDOVERS),
    Duty("sla.hours", 3600, look_at_hours),
    Duty("evidence.checkpoint", 30, sign_when_grown),
)
