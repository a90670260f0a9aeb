"""Build etcd, kube-apiserver and kube-scheduler from the Go module proxy, once, into a folder that git ignores.

    python tests/conformance/kubernetes/build.py FOLDER

The staging modules of Kubernetes are replaced by the releases that go with it; about fifteen minutes of one processor,
and 3 GB of Go's cache.  What is built already is left.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ETCD: Final = "v3.6.16"
KUBERNETES: Final = "v1.36.3"
STAGING: Final = KUBERNETES.replace("v1.", "v0.", 1)
PROGRAMS: Final = ("kube-apiserver", "kube-scheduler")
VERSION: Final = "k8s.io/component-base/version"


def go(folder: Path, *words: str) -> str:
    """Run the Go command in *folder*, one process at a time, and return what it prints."""
    environment = {**os.environ, "GOFLAGS": "-p=1 -buildvcs=false", "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", *words], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def build_etcd(folder: Path) -> None:
    """Build etcd."""
    source = folder / "etcd-source"
    source.mkdir(exist_ok=True)
    name = "go.etcd.io/etcd/server/v3"
    (source / "go.mod").write_text(
        f"module pfgov.dev/etcd\n\ngo 1.24\n\nrequire {name} {ETCD}\n", encoding="utf-8"
    )
    (source / "tools.go").write_text(
        f'//go:build tools\n\npackage tools\n\nimport _ "{name}"\n', encoding="utf-8"
    )
    go(source, "mod", "tidy")
    go(source, "build", "-ldflags", "-s -w", "-o", str(folder / "etcd"), name)


def build_kubernetes(folder: Path) -> None:
    """Build the API server and the scheduler."""
    source = folder / "kubernetes-source"
    source.mkdir(exist_ok=True)
    (source / "go.mod").write_text("module pfgov.dev/kubernetes\n\ngo 1.26\n", encoding="utf-8")
    where = go(source, "mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES}")
    found = re.search(r'"GoMod": "([^"]+)"', where)
    if found is None:
        raise SystemExit(f"the module of Kubernetes {KUBERNETES} cannot be had:\n{where}")
    own = Path(found.group(1)).read_text(encoding="utf-8")
    staging = sorted(set(re.findall(r"(\S+) => \./staging/src/", own)))
    replaced = "".join(f"\t{name} => {name} {STAGING}\n" for name in staging)
    head = "module pfgov.dev/kubernetes\n\ngo 1.26\n\n"
    module = f"{head}require k8s.io/kubernetes {KUBERNETES}\n\nreplace (\n{replaced})\n"
    (source / "go.mod").write_text(module, encoding="utf-8")
    names = [f"k8s.io/kubernetes/cmd/{one}" for one in PROGRAMS]
    imports = "".join(f'\t_ "{one}"\n' for one in names)
    (source / "tools.go").write_text(
        f"//go:build tools\n\npackage tools\n\nimport (\n{imports})\n", encoding="utf-8"
    )
    go(source, "mod", "tidy", "-e")
    _, minor, _ = KUBERNETES[1:].split(".")
    stamps = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": minor}
    flags = " ".join(["-s -w", *(f"-X {VERSION}.{name}={value}" for name, value in stamps.items())])
    for name in names:
        go(source, "build", "-ldflags", flags, "-o", f"{folder}/", name)


def main() -> None:
    """Build what is missing in the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "etcd").exists():
        build_etcd(folder)
    if not all((folder / one).exists() for one in PROGRAMS):
        build_kubernetes(folder)
    sys.stdout.write(f"{folder}: etcd {ETCD}, Kubernetes {KUBERNETES}\n")


if __name__ == "__main__":
    main()
