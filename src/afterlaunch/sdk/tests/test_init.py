"""`afterlaunch.init` as an application meets it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afterlaunch.sdk.tests.received import Received

Run = Callable[..., subprocess.CompletedProcess[str]]

SPAN = """
from opentelemetry import trace
with trace.get_tracer("app").start_as_current_span("step"):
    pass
"""


def test_one_line_sends_all_signals_when_the_process_ends(receiver: Received, run: Run) -> None:
    done = run(
        f"""
        import afterlaunch
        afterlaunch.init({receiver.url!r}, token="secret", system="support", environment="production", release="2.4.1")
        from opentelemetry import metrics, trace
        with trace.get_tracer("app").start_as_current_span("step"):
            metrics.get_meter("app").create_counter("orders").add(1)
            afterlaunch.feedback(0.5)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(receiver.spans()) == {"step"} and receiver.metrics() == {"orders"} and len(receiver.records()) == 1
    (resource,) = receiver.resources()
    assert resource["afterlaunch.system"] == resource["service.name"] == "support"
    assert resource["deployment.environment.name"] == "production" and resource["service.version"] == "2.4.1"
    assert resource["service.instance.id"]
    for _, headers, _ in receiver.requests:
        assert headers["authorization"] == "Bearer secret" and headers["content-encoding"] == "gzip"


def test_everything_can_come_from_the_environment(receiver: Received, run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of-a-file\n")
    done = run(
        "import afterlaunch; afterlaunch.init()" + SPAN,
        AFTERLAUNCH_ENDPOINT=receiver.url + "/",
        AFTERLAUNCH_TOKEN_FILE=str(tmp_path / "token"),
        AFTERLAUNCH_SYSTEM="support",
        AFTERLAUNCH_ENVIRONMENT="staging",
        AFTERLAUNCH_RELEASE="7",
        AFTERLAUNCH_CLIENT="acme",
        OTEL_SERVICE_NAME="worker",
    )
    assert (done.returncode, done.stderr) == (0, "")
    (resource,) = receiver.resources()
    told = ("afterlaunch.system", "deployment.environment.name", "service.version", "afterlaunch.client")
    assert [resource[name] for name in told] == ["support", "staging", "7", "acme"]
    assert resource["service.name"] == "worker", "OpenTelemetry's own variables stand"
    assert receiver.requests[0][1]["authorization"] == "Bearer of-a-file"


def test_opentelemetrys_own_variables_are_enough(receiver: Received, run: Run) -> None:
    done = run(
        "import afterlaunch; afterlaunch.init()" + SPAN,
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer theirs",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_RESOURCE_ATTRIBUTES="service.name=support,deployment.environment.name=dev",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.resources()[0]["deployment.environment.name"] == "dev"
    assert receiver.requests[0][1]["authorization"] == "Bearer theirs"
    assert "content-encoding" not in receiver.requests[0][1]


def test_a_provider_that_is_set_is_kept_and_sends_here_too(receiver: Received, run: Run) -> None:
    done = run(
        f"""
        from opentelemetry import trace
        from opentelemetry._logs import get_logger_provider, set_logger_provider
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        theirs = InMemorySpanExporter()
        provider = TracerProvider(resource=Resource.create({{"service.name": "theirs", "service.version": "1"}}))
        provider.add_span_processor(SimpleSpanProcessor(theirs))
        trace.set_tracer_provider(provider)
        set_logger_provider(LoggerProvider(Resource.create({{"service.name": "theirs"}})))
        import afterlaunch
        afterlaunch.init({receiver.url!r}, system="support", environment="prod")
        with afterlaunch.context(tenant="acme"), trace.get_tracer("app").start_as_current_span("step"):
            afterlaunch.feedback(label="good")
        assert trace.get_tracer_provider() is provider
        (span,) = theirs.get_finished_spans()
        assert "afterlaunch.system" not in span.resource.attributes
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    (resource,) = receiver.resources()
    assert (resource["service.name"], resource["service.version"]) == ("theirs", "1")
    assert (resource["afterlaunch.system"], resource["deployment.environment.name"]) == ("support", "prod")
    assert receiver.spans()["step"]["tenant.id"] == "acme" and len(receiver.records()) == 1


def test_what_a_server_cannot_take_now_is_sent_again(receiver: Received, run: Run) -> None:
    receiver.answers = [503, 502]
    done = run(f"import afterlaunch; afterlaunch.init({receiver.url!r}, system='s')" + SPAN + "afterlaunch.flush()")
    assert done.returncode == 0 and set(receiver.spans()) == {"step"}
    assert done.stderr.count("\n") == 2, "the trouble once, and its end"
    assert "does not get through" in done.stderr and "again; 0 batches were lost" in done.stderr


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_a_refusal_is_said_once_and_disturbs_nothing(receiver: Received, run: Run, status: int) -> None:
    receiver.answers = [status] * 9
    done = run(
        f"""
        import afterlaunch
        from opentelemetry import trace
        afterlaunch.init({receiver.url!r}, system="s", token="wrong")
        for number in range(3):
            with trace.get_tracer("app").start_as_current_span("step"):
                pass
            afterlaunch.flush()
        print("the application goes on")
        """
    )
    assert (done.returncode, done.stdout) == (0, "the application goes on\n")
    assert len(receiver.answers) == 6 and str(status) in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_server_that_is_away_holds_nobody_up(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    began = time.monotonic()
    done = run(f"import afterlaunch; afterlaunch.init({nobody!r}, system='s')" + SPAN + "print('done')")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.count("\n") == 1 and "does not get through" in done.stderr
    assert time.monotonic() - began < 15, "an exit waits for five seconds, not for all retries"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("afterlaunch.init('ftp://nowhere')", "must begin with http"),
        ("afterlaunch.init()", "cannot be read"),
        ("afterlaunch.init('http://127.0.0.1:9', token='t', metrics=False); afterlaunch.init()", "was called before"),
        ("afterlaunch.init('http://127.0.0.1:9', token='t', metrics=False)", "belongs to no system"),
    ],
)
def test_what_cannot_be_is_logged_not_raised(run: Run, call: str, said: str) -> None:
    done = run(f"import afterlaunch\n{call}\nprint('on')", AFTERLAUNCH_TOKEN_FILE="/nowhere")
    assert (done.returncode, done.stdout) == (0, "on\n") and said in done.stderr, done.stderr


def test_content_can_stay_at_home(receiver: Received, run: Run) -> None:
    code = f"""
    import afterlaunch
    from opentelemetry import trace
    from opentelemetry._logs import LogRecord, get_logger_provider
    afterlaunch.init({receiver.url!r}, system="s", environment="dev")
    with trace.get_tracer("app").start_as_current_span("chat") as span:
        span.set_attributes({{"gen_ai.input.messages": "hush", "gen_ai.prompt.0.content": "hush",
            "llm.input_messages.0.message.content": "hush", "output.value": "hush",
            "retrieval.documents.0.document.content": "hush", "gen_ai.task.input": "hush",
            "gen_ai.prompt.name": "greeting", "gen_ai.usage.input_tokens": 3}})
        span.add_event("gen_ai.choice", {{"message": "hush"}})
        get_logger_provider().get_logger("app").emit(LogRecord(event_name="gen_ai.user.message", body="hush"))
        with afterlaunch.retrieval("hush", source="handbook") as found:
            found.documents([{{"id": "d1", "score": 0.5, "text": "hush"}}])
    """
    done = run(code, AFTERLAUNCH_CONTENT="off")
    assert (done.returncode, done.stderr) == (0, "")
    assert not [path for path, _, body in receiver.requests if b"hush" in body]
    assert receiver.spans()["chat"] == {"gen_ai.prompt.name": "greeting", "gen_ai.usage.input_tokens": 3}
    assert len(receiver.records()) == 1, "that somebody spoke is kept"
    run(code)
    assert [path for path, _, body in receiver.requests if b"hush" in body]
