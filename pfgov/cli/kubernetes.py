"""``pfgov kubernetes``: judge the pods of a cluster before they run, with its nodes as members."""

import asyncio
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.log_lines import log_lines

if TYPE_CHECKING:
    from pfgov.kubernetes.controller import Controller, Round

kubernetes: Final = Nouns(
    "kubernetes",
    help="Govern what a Kubernetes cluster may run.",
    examples=(
        "pfgov kubernetes manifests | kubectl apply -f -",
        "pfgov kubernetes run --url https://ledger.example --cluster east",
    ),
    then="step by step: docs/how-to/govern-a-cluster.md",
)
"""``pfgov kubernetes``."""

NAMESPACE: Final = "pfgov-system"


@verb(
    kubernetes,
    "manifests",
    examples=(
        "pfgov kubernetes manifests | kubectl apply -f -",
        "pfgov kubernetes manifests --image registry.example/pfgov:0.1.0 --server https://ledger.example",
    ),
    then="say which nodes are members and which namespaces are governed: docs/how-to/govern-a-cluster.md",
    files=FILES,
)
@click.option(
    "--namespace", default=NAMESPACE, show_default=True, help="Where the controller lives."
)
@click.option(
    "--cluster", default="cluster", show_default=True, help="What the ledger calls this cluster."
)
@click.option(
    "--scheduler",
    default="system:kube-scheduler",
    show_default=True,
    help="The user that binds pods.",
)
@click.option(
    "--image", help="Run the controller in the cluster, too, from this image; needs --server."
)
@click.option("--server", metavar="URL", help="Where the controller finds the ledger.")
@click.option(
    "--without-mutation",
    is_flag=True,
    help="Leave out what gives the gate to each pod (before Kubernetes 1.36): templates then name it themselves.",
)
def print_manifests(
    output: Output,
    *,
    namespace: str,
    cluster: str,
    scheduler: str,
    image: str | None,
    server: str | None,
    without_mutation: bool,
) -> int:
    """Print what the cluster needs, for kubectl apply: definitions, account and rights, admission policies.

    Nothing is sent. The same options give the same text.
    """
    from pfgov.kubernetes.manifests import Places, render

    if (image is None) != (server is None):
        raise click.UsageError(
            "--image and --server go together: the controller has to find the ledger"
        )
    places = Places(namespace, cluster, scheduler, server, image, gives_gate=not without_mutation)
    text = render(places)
    output.show({"account": places.account, "manifests": text}, text.rstrip("\n"))
    return 0


@dataclass(frozen=True, slots=True)
class Given:
    """What was given to ``run``."""

    api: str | None
    token_file: Path | None
    ca_file: Path | None
    cluster: str
    namespace: str
    identity: str | None
    lease_seconds: int
    pod_labels: tuple[tuple[str, str], ...]
    node_labels: tuple[tuple[str, str], ...]
    anchor: Path | None


def _mapping(
    _: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for one in given:
        name, separator, known = one.partition("=")
        if not (separator and name and known):
            raise click.BadParameter(f"{one!r} is not LABEL=NAME", param=option)
        found.append((name, known))
    return tuple(found)


FILE: Final = click.Path(path_type=Path, dir_okay=False)


@verb(
    kubernetes,
    "run",
    examples=(
        "pfgov kubernetes run --url https://ledger.example --key-file key --cluster east",
        "pfgov kubernetes run --url http://localhost:8000 --kubernetes http://127.0.0.1:8001 --once",
    ),
    then="see who owns what: kubectl get flightpackets --all-namespaces",
)
@click.option(
    "--kubernetes",
    "api",
    metavar="URL",
    help="The API server; by default that of the cluster in which this runs.",
)
@click.option("--token-file", type=FILE, help="A token for it; read anew with each request.")
@click.option("--ca-file", type=FILE, help="Whom to trust as it.")
@click.option(
    "--cluster", default="cluster", show_default=True, help="What the ledger calls this cluster."
)
@click.option(
    "--namespace",
    default=NAMESPACE,
    show_default=True,
    help="Where the Lease of the controllers is.",
)
@click.option(
    "--identity",
    help="The name of this controller among several. [dim]\\[default: the host's name][/dim]",
)
@click.option(
    "--lease-seconds",
    type=click.IntRange(10, 86_400),
    default=300,
    show_default=True,
    help="For how long a node may not be heard before its packets are taken from it.",
)
@click.option(
    "--pod-label",
    "pod_labels",
    multiple=True,
    metavar="LABEL=NAME",
    callback=_mapping,
    help="Show a label of pods to policies as packet.labels[NAME]; repeatable.",
)
@click.option(
    "--node-label",
    "node_labels",
    multiple=True,
    metavar="LABEL=NAME",
    callback=_mapping,
    help="Show a label of nodes to policies as member.labels[NAME]; repeatable.",
)
@click.option("--anchor", type=FILE, help="Verify each receipt against this anchor.")
@click.option("--once", is_flag=True, help="Do what is due, and leave.")
def run_controller(output: Output, *, once: bool, **options: Any) -> int:
    """Submit a packet for each pod of a governed namespace, and open its gate on the node that is chosen.

    Needs a key of the server with the scope operator. It goes on until it is stopped, and several may run: one of them
    acts. With --once it exits 0 when nothing is left to do, 1 if something could not be done.
    """
    from pfgov.cli.output import usage

    if output.url is None:
        raise usage("a controller asks a server", "name it: --url URL; start one: pfgov serve")
    return asyncio.run(_run(output, Given(**options), is_once=once))


async def _run(output: Output, given: Given, *, is_once: bool) -> int:
    from pfgov.cli.address import address
    from pfgov.client import AsyncClient
    from pfgov.errors import file_errors
    from pfgov.kubernetes.api import Kubernetes
    from pfgov.kubernetes.connecting import connection

    to = connection(given.api, token_file=given.token_file, ca_file=given.ca_file)
    assert output.url is not None
    server = address(output.url, key_file=output.key_file, insecure=output.insecure)
    anchor = None
    if given.anchor is not None:
        with file_errors(given.anchor):
            anchor = given.anchor.read_text(encoding="utf-8")
    api = Kubernetes(to)
    try:
        async with AsyncClient(server.url, key=server.key, anchor=anchor) as client:
            controller = _controller(api, client, given)
            if is_once:
                return _show(output, await controller.settle())
            return await _go_on(output, controller, to.url)
    finally:
        await api.close()


def _controller(api: Any, client: Any, given: Given) -> "Controller":
    import platform

    from pfgov.kubernetes.asking import Cluster
    from pfgov.kubernetes.controller import Controller, Setup
    from pfgov.kubernetes.manifests import check_cluster

    cluster = Cluster(
        check_cluster(given.cluster),
        "",
        dict(given.pod_labels),
        dict(given.node_labels),
        given.lease_seconds,
    )
    return Controller(
        api, client, Setup(cluster, given.namespace, given.identity or platform.node())
    )


def _show(output: Output, done: "Round") -> int:
    from pfgov.core.wording import counted

    failed = [
        {"action": type(action).__name__, "code": error.code, "detail": error.message}
        for action, error in done.failed
    ]
    lines = [f"{one['action']}: {one['detail']}" for one in failed]
    total = counted(done.count, "action")
    output.show({"actions": done.count, "failed": failed}, f"{total} done", *lines)
    return 1 if failed else 0


async def _go_on(output: Output, controller: "Controller", url: str) -> int:
    log_lines("pfgov.kubernetes")
    name = controller.setup.cluster.name
    output.show({"cluster": name, "kubernetes": url}, f"governing {name} at {url}")
    sys.stdout.flush()
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await controller.run()
    except asyncio.CancelledError:
        running.uncancel()
    return 0
