from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from afterlaunch.engine.compiled import Row
from afterlaunch.incidents.models import Incident

STATES = [("draft", "Draft"), ("submitted", "Waiting for approval"), ("approved", "Approved")]
TYPES = [("prevent", "Prevent"), ("detect", "Detect"), ("contain", "Contain"), ("process", "Process")]
PRIORITIES = [("high", "High"), ("medium", "Medium"), ("low", "Low")]
ITEM_STATES = [("open", "Open"), ("done", "Done"), ("dropped", "Dropped")]


class Review(Row):
    """The review of an incident. `sections`: key -> {"text", "machine", "by", "at"}; machine: nobody has touched what a
    machine wrote. `required`: the peak severity demands it. The two due times are clocks."""

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="review")
    state = models.CharField(max_length=10, choices=STATES, default="draft")
    required = models.BooleanField(default=False)
    sections = models.JSONField(default=dict)
    began_at = models.DateTimeField()
    drafted_at = models.DateTimeField(null=True)  # when a machine wrote its part
    draft_due_at = models.DateTimeField(null=True)
    approve_due_at = models.DateTimeField(null=True)
    draft_late_at = models.DateTimeField(null=True)
    approve_late_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(null=True)
    submitted_by = models.CharField(max_length=200, blank=True, default="")
    author_identity = models.CharField(max_length=200, blank=True, default="")
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=200, blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")  # of what was approved
    no_action_reason = models.TextField(blank=True, default="")
    no_action_by = models.CharField(max_length=200, blank=True, default="")
    no_action_identity = models.CharField(max_length=200, blank=True, default="")
    no_action_seconded_by = models.CharField(max_length=200, blank=True, default="")
    public_text = models.TextField(blank=True, default="")  # reduced, for a status page
    public_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-pk",)
        indexes = [
            models.Index(fields=["began_at"], condition=Q(drafted_at=None), name="reviews_to_draft"),
            models.Index(fields=["draft_due_at"], condition=Q(state="draft", draft_late_at=None), name="drafts_due"),
            models.Index(
                fields=["approve_due_at"], condition=Q(approved_at=None, approve_late_at=None), name="approvals_due"
            ),
        ]

    def __str__(self) -> str:
        return f"review of #{self.incident_id}"

    def get_absolute_url(self) -> str:
        return f"/incidents/{self.incident_id}/review"


class ReviewComment(Row):
    """Kept for ever."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="comments")
    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    text = models.TextField()

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return self.text[:80]


class PromptDraft(Row):
    """A golden prompt made from a failing trace: `document` as `prompts.SHAPE` says. Probes take it over from here."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="prompt_drafts")
    name = models.CharField(max_length=200)
    document = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    taken_at = models.DateTimeField(null=True)  # a probe was made of it
    taken_as = models.CharField(max_length=200, blank=True, default="")  # the probe's address

    class Meta:
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["incident", "name"], name="one_prompt_draft_per_name")]

    def __str__(self) -> str:
        return self.name


class ActionItem(Row):
    """What will be done so that it does not come again, or is seen earlier, or harms less."""

    review = models.ForeignKey(Review, on_delete=models.CASCADE, related_name="items")
    title = models.CharField(max_length=300)
    type = models.CharField(max_length=10, choices=TYPES, default="prevent")
    priority = models.CharField(max_length=10, choices=PRIORITIES, default="medium")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="action_items"
    )
    due_on = models.DateField(null=True)
    link = models.CharField(max_length=500, blank=True, default="")
    prompt = models.ForeignKey(PromptDraft, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(max_length=10, choices=ITEM_STATES, default="open")
    evidence = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True, default="")
    told_at = models.DateTimeField(null=True)  # when the owner was last told that it is overdue

    class Meta:
        ordering = ("state", "due_on", "pk")
        indexes = [models.Index(fields=["due_on"], condition=Q(state="open"), name="action_items_due")]

    def __str__(self) -> str:
        return self.title
