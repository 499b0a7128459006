"""Django's settings, made from ours (`ground.settings`)."""

from __future__ import annotations

import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from afterlaunch.ground import clock
from afterlaunch.ground.settings import WrongSetting, settings

_ours = settings()
clock.use(clock.from_setting(_ours.text("CLOCK")))


def _secret_key() -> str:
    given = _ours.text("SECRET_KEY")
    if given:
        return given
    file: Path = _ours.data / "secret_key"
    if not file.exists():
        _ours.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = file.with_suffix(f".{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_urlsafe(64))
        try:
            temporary.rename(file) if not file.exists() else temporary.unlink()
        except FileExistsError:
            temporary.unlink()
    return file.read_text().strip()


def _database() -> dict[str, Any]:
    url = _ours.text("DATABASE_URL")
    if not url:
        return {
            "ENGINE": "afterlaunch.engine.sqlite",
            "TEST": {"NAME": ":memory:"},  # pytest-django knows that of Django's own backend only
            "NAME": str(_ours.data / "control.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise WrongSetting(f"AFTERLAUNCH_DATABASE_URL must begin with postgresql://, not {parts.scheme}://")
    if find_spec("psycopg") is None:
        raise WrongSetting("AFTERLAUNCH_DATABASE_URL needs the driver: pip install 'afterlaunch[postgres]'")
    options = dict(parse_qsl(parts.query))  # of libpq: sslmode, connect_timeout, …; a host may be a socket's folder
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", str(parts.port or "")),
        "OPTIONS": options,
        "CONN_HEALTH_CHECKS": True,
    }


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS: list[str] = []
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", _ours.text("HOST"), *_ours["ALLOWED_HOSTS"]]
if _host := urlsplit(_ours.public_url).hostname:
    ALLOWED_HOSTS.append(_host)
CSRF_TRUSTED_ORIGINS = [_ours.public_url]
DATABASES = {"default": _database()}
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "afterlaunch.look",  # before allauth: its pages wear our base
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "afterlaunch.engine",
    "afterlaunch.evidence",
    "afterlaunch.accounts",
    "afterlaunch.estate",
    "afterlaunch.pricing",
    "afterlaunch.telemetry",
    "afterlaunch.scraping",
    "afterlaunch.telemetry.keeping",
    "afterlaunch.routes",
    "afterlaunch.verdicts",
    "afterlaunch.calendars",
    "afterlaunch.notify",
    "afterlaunch.oncall",
    "afterlaunch.sla",
    "afterlaunch.incidents",
    "afterlaunch.incidents.runbooks",
    "afterlaunch.incidents.containment",
    "afterlaunch.incidents.updates",
    "afterlaunch.incidents.files",
    "afterlaunch.incidents.reviews",
    "afterlaunch.alerts",
    "afterlaunch.slo",
    "afterlaunch.anomalies",
    "afterlaunch.spend",
    "afterlaunch.savings",
    "afterlaunch.receivers",
    "afterlaunch.changes",
    "afterlaunch.budgets",
    "afterlaunch.guard",
    "afterlaunch.predictions",
    "afterlaunch.answers",
    "afterlaunch.labels",
    "afterlaunch.datasets",
    "afterlaunch.probes",
    "afterlaunch.infrastructure",
    "afterlaunch.replies",
    "afterlaunch.status_pages",
    "afterlaunch.diagnosis",
    "afterlaunch.retraining",
    "afterlaunch.reports",
    "afterlaunch.overview",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "afterlaunch.app.middleware.ActorMiddleware",
]

ROOT_URLCONF = "afterlaunch.app.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "afterlaunch.app.menu.menu",
            ],
        },
    }
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_ADAPTER = "afterlaunch.app.sign_in.ClosedDoor"
ACCOUNT_EMAIL_VERIFICATION = "none"
MFA_ADAPTER = "afterlaunch.app.second_factor.Sealed"
MFA_TOTP_ISSUER = "Afterlaunch"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"

USE_TZ = True
TIME_ZONE = _ours.text("TIME_ZONE")
LANGUAGE_CODE = "en-gb"
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = _ours.data / "static"
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
PUBLIC_IS_HTTPS = _ours.public_url.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_IS_HTTPS
CSRF_COOKIE_HTTPONLY = True  # pages carry the token themselves
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # the editor of a schedule of twenty layers with sixty turns each has 1,500
# Sessions of a demo in accelerated time must not expire at once.
SESSION_COOKIE_AGE = 14 * 24 * 3600

# Lists that point up by nature; rooms below read them by these names.
NOTIFICATION_KINDS = "afterlaunch.app.notification_kinds.KINDS"
INCIDENT_PANELS = "afterlaunch.app.incident_panels.PANELS"
SLA_LISTENERS = "afterlaunch.app.sla_listeners.LISTENERS"
JUDGE_TITLES = "afterlaunch.app.judges.TITLES"
JUDGE_KINDS = "afterlaunch.app.judges.KINDS"
INCIDENT_RUNS = "afterlaunch.app.incident_runs.RUNS"
INCIDENT_MERGES = "afterlaunch.app.incident_merges.MERGES"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "afterlaunch.ground.redaction.Masking",
            "format": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": _ours.text("LOG_LEVEL")},
}
