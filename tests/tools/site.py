"""The configuration that tests apply before they start servers: one client, one system, one upstream, one route."""

from __future__ import annotations

_SITE = """
apiVersion: afterlaunch/v1
kind: Client
metadata: {{name: acme}}
spec: {{displayName: Acme}}
---
apiVersion: afterlaunch/v1
kind: System
metadata: {{client: acme, name: desk}}
spec: {{displayName: Desk}}
---
apiVersion: afterlaunch/v1
kind: Upstream
metadata: {{name: openai}}
spec: {{baseUrl: "{provider}", provider: openai, credential: "env:OPENAI_API_KEY"}}
---
apiVersion: afterlaunch/v1
kind: Route
metadata: {{name: answers}}
spec: {{client: acme, system: desk, environment: prod, baseline: {{upstream: openai}}{route}}}
"""


def site(provider: str, route: str = "", more: str = "") -> str:
    """`route`: further members of the route, in YAML's braces; `more`: further documents."""
    told = _SITE.format(provider=provider, route=f", {route}" if route else "")
    return told + (f"---\n{more.strip()}\n" if more else "")
