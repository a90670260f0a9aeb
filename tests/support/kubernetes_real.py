"""A cluster of real etcd, kube-apiserver and kube-scheduler, in processes of this machine that listen to it alone.

There are no kubelets and no controller manager: a test says that a node is ready, that a pod runs or is gone, and makes
the pod that a ReplicaSet would make.
"""

import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.api_process import free_port

T = TypeVar("T")

PATIENCE_SECONDS: Final = 120.0
USERS: Final = {
    "admin": ("system:masters",),
    "system:kube-scheduler": (),
    "tenant": ("tenants",),
    "system:node:n1": ("system:nodes",),
}
MEMBER: Final = "pfgov.dev.node-restriction.kubernetes.io/member"


class RefusedByServerError(Exception):
    """The API server refused."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"{answer.status_code} {answer.text}")
        self.status = answer.status_code


def until(question: Callable[[], T], what: str = "") -> T:
    """Ask until the answer is something, and return it."""
    ends = time.monotonic() + PATIENCE_SECONDS
    found = question()
    while not found:
        assert time.monotonic() < ends, f"it did not come to be: {what}"
        time.sleep(0.1)
        found = question()
    return found


class RealCluster:
    """The processes and their files; users are told by their tokens, which are their names."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self.etcd_port, self.port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = folder / "certs" / "apiserver.crt"
        self.kubeconfig = folder / "kubeconfig"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._http: httpx2.Client | None = None
        self._write_files()

    def _write_files(self) -> None:
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.folder / "sa.key").write_bytes(private)
        (self.folder / "sa.pub").write_bytes(public)
        rows = [f'{user},{user},{user},"{",".join(groups)}"' for user, groups in USERS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        for user, file in (
            ("admin", self.kubeconfig),
            ("system:kube-scheduler", self.folder / "scheduler"),
        ):
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "c",
                        "cluster": {"server": self.url, "certificate-authority": str(self.ca)},
                    }
                ],
                "users": [{"name": "u", "user": {"token": user}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
            file.write_text(json.dumps(config))

    def _run(self, name: str, *words: str) -> None:
        program = [str(self.programs / name), *words]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(program, stdout=log, stderr=log)

    def start_api(self) -> None:
        """Start the API server, and wait until it is ready."""
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts
            "--service-cluster-ip-range=10.0.0.0/24",
            "--watch-cache=true",
        )
        until(self._is_ready, "the API server is ready")

    def _is_ready(self) -> bool:
        assert self.running["kube-apiserver"].poll() is None, (
            self.folder / "kube-apiserver.log"
        ).read_text()[-3_000:]
        if not self.ca.exists():
            return False
        try:
            return (
                self.http.get("/readyz", headers={"Authorization": "Bearer admin"}).status_code
                == 200
            )
        except httpx2.TransportError:
            return False

    @property
    def http(self) -> httpx2.Client:
        """A client that trusts this server."""
        if self._http is None:
            context = ssl.create_default_context(cafile=str(self.ca))
            self._http = httpx2.Client(base_url=self.url, verify=context, timeout=30)
        return self._http

    def stop(self, name: str) -> None:
        """End a process, in order if it does so within a while."""
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart_api(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Kill the API server, do something *meanwhile*, and start it again on the same etcd."""
        process = self.running.pop("kube-apiserver")
        process.kill()
        process.wait()
        meanwhile()
        self.start_api()

    def compact(self) -> None:
        """Have etcd forget every version but the present one."""
        etcd = f"http://127.0.0.1:{self.etcd_port}/v3/kv"
        shown = httpx2.post(f"{etcd}/range", json={"key": "AA=="}).json()
        answer = httpx2.post(
            f"{etcd}/compaction", json={"revision": shown["header"]["revision"], "physical": True}
        )
        assert answer.status_code == 200, answer.text

    def ask(
        self, user: str, method: str, path: str, body: Any = None, how: str = "application/json"
    ) -> Any:
        """Ask as *user*; return the answer's value.

        Raises:
            RefusedByServerError: it is refused.
        """
        headers = {"Authorization": f"Bearer {user}", "Content-Type": how}
        content = None if body is None else json.dumps(body).encode()
        answer = self.http.request(method, path, headers=headers, content=content)
        if answer.status_code >= 400:
            raise RefusedByServerError(answer)
        return answer.json()

    def admin(self, method: str, path: str, body: Any = None, how: str = "application/json") -> Any:
        """Ask as the administrator."""
        return self.ask("admin", method, path, body, how)

    def kubectl(self, *words: str, text: str | None = None) -> str:
        """Run kubectl as the administrator, and return what it prints."""
        program = shutil.which("kubectl")
        assert program is not None
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            [program, *words],
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # --- what kubelets and controllers would do -------------------------------------------

    def node(self, name: str, zone: str = "eu-1", cpu: str = "4") -> None:
        """Join a node that is ready."""
        labels = {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": zone,
            MEMBER: "true",
        }
        self.admin("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
        offered = {"cpu": cpu, "memory": "8Gi", "pods": "10"}
        status = {
            "capacity": offered,
            "allocatable": offered,
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        merge = "application/merge-patch+json"
        self.admin("PATCH", f"/api/v1/nodes/{name}/status", {"status": status}, merge)
        self.admin("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}}, merge)

    def runs(self, name: str, namespace: str = "team") -> None:
        """Say that a pod runs."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        self.admin("PATCH", path, {"status": {"phase": "Running"}}, "application/merge-patch+json")

    def reap(self, namespace: str = "team") -> None:
        """Remove the pods that are to end, as their kubelets would."""
        for one in self.admin("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]:
            if "deletionTimestamp" in one["metadata"]:
                path = f"/api/v1/namespaces/{namespace}/pods/{one['metadata']['name']}"
                self.admin("DELETE", path, {"gracePeriodSeconds": 0})

    def __enter__(self) -> Self:
        etcd = f"http://127.0.0.1:{self.etcd_port}"
        peer = f"http://127.0.0.1:{free_port()}"
        self._run(
            "etcd", f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync", "--log-level=warn",
        )  # fmt: skip
        try:
            self.start_api()
            scheduler = f"{self.folder / 'scheduler'}"
            self._run(
                "kube-scheduler", f"--kubeconfig={scheduler}", f"--authentication-kubeconfig={scheduler}",
                f"--authorization-kubeconfig={scheduler}", "--leader-elect=false", f"--secure-port={free_port()}",
                "--bind-address=127.0.0.1", f"--cert-dir={self.folder / 'scheduler-certs'}",
            )  # fmt: skip
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            self._http.close()
        for name in list(reversed(self.running)):
            self.stop(name)
