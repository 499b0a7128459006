"""The command line. It parses flags; what it does stands in the rooms."""

from __future__ import annotations

import typer

from afterlaunch import __version__
from afterlaunch.cli import (
    accounts,
    anomalies,
    configuration,
    data,
    demo,
    doctor,
    drift,
    erasures,
    keys,
    migrate,
    oncall,
    price,
    rca,
    rebuild,
    replay,
    report,
    retrieval,
    simulate,
    sla,
    slo,
    telemetry_ddl,
    up,
    verify,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Afterlaunch keeps AI systems healthy after launch.",
)


app.command("up")(up.up)
app.command("serve")(up.serve)
app.command("sign-in")(accounts.sign_in)
app.command("apply")(configuration.apply)
app.command("export")(configuration.export)
app.command("verify")(verify.verify)
app.add_typer(verify.evidence, name="evidence")
app.command("replay")(replay.replay)
app.command("migrate-telemetry")(migrate.migrate)
app.command("telemetry-ddl")(telemetry_ddl.show)
app.command("rebuild-telemetry")(rebuild.rebuild)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)
app.command("erasures")(erasures.erasures)
app.add_typer(report.report, name="report")
app.add_typer(slo.slo, name="slo")
app.add_typer(sla.sla, name="sla")
app.add_typer(oncall.oncall, name="oncall")
app.add_typer(price.price, name="price")
app.add_typer(anomalies.anomalies, name="anomalies")
app.add_typer(retrieval.retrieval, name="retrieval")
app.add_typer(rca.rca, name="rca")
app.add_typer(drift.drift, name="drift")
app.add_typer(data.data, name="data")
app.add_typer(accounts.token, name="token")
app.add_typer(keys.key, name="key")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Keeps AI systems healthy after launch."""


def run() -> None:
    app()
