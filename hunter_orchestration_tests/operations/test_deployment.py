"""The files of deploy/ keep their promises: not root, read-only, within bounds, asked how they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.rglob("*.service"))
LEAST_EXPOSED = 40
"""In tenths, as systemd-analyze counts; without the restrictions a unit has 85."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def hardened(container: dict[str, Any]) -> bool:
    context = container["securityContext"]
    dropped = context["capabilities"]["drop"] == ["ALL"]
    return bool(context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"] and dropped)


def not_root(pod: dict[str, Any]) -> bool:
    """By number, which Kubernetes can check, and with the group that may write to the claim."""
    return bool(pod["runAsNonRoot"] and pod["runAsUser"] == pod["fsGroup"] == 10001)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_tried_again_for_ever_and_may_do_little_else(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    for line in ("Restart=always", "StartLimitIntervalSec=0", "User=hunter", "ProtectSystem=strict",
                 "NoNewPrivileges=true", "UMask=0077"):  # fmt: skip
        assert line in lines
    if shutil.which("systemd-analyze") is None:
        return
    asked = ["systemd-analyze", "security", "--offline=true", f"--threshold={LEAST_EXPOSED}", str(unit)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_image_ends_as_a_numbered_user_and_the_others_know_the_number() -> None:
    lines = (DEPLOY / "postgres" / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    assert any("--uid 10001" in line for line in lines)


def test_every_container_of_compose_is_read_only_bounded_and_asked_how_it_is() -> None:
    services = read("postgres/compose.yaml")["services"]
    ours = {name: service for name, service in services.items() if service.get("image") == "hunter"}
    assert sorted(ours) == ["api", "code", "daemon", "schema", "webserver"]
    for name, service in ours.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["mem_limit"]
        assert any(volume.startswith("home:") for volume in service["volumes"])
        assert ("healthcheck" in service) == (name != "schema")
    # A volume keeps the files of the image it was made with.
    assert "cp deploy/postgres/dagster.yaml $$DAGSTER_HOME/dagster.yaml" in services["schema"]["command"]
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_chart_runs_hunters_code_as_another_than_root_on_a_read_only_file_system() -> None:
    values = read("kubernetes/values.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    runs = values["runLauncher"]["config"]["k8sRunLauncher"]
    assert not_root(code["podSecurityContext"])
    assert hardened(code)
    assert not_root(runs["runK8sConfig"]["podSpecConfig"]["securityContext"])
    assert hardened(runs["runK8sConfig"]["containerConfig"])
    # Runs get the volumes of the code server; named twice, they would be mounted twice.
    assert code["includeConfigInLaunchedRuns"]["enabled"]
    assert "volumes" not in runs
    mounted = {mount["name"]: mount["mountPath"] for mount in code["volumeMounts"]}
    assert mounted == {"home": "/var/lib/hunter", "tmp": "/tmp"}
    for part in (code, runs, values["dagsterDaemon"], values["dagsterWebserver"]):
        assert part["resources"]["limits"]["memory"]
    assert code["livenessProbe"]
    assert code["readinessProbe"]["enabled"]


def test_the_page_on_kubernetes_asks_by_the_name_it_answers_to() -> None:
    text = (DEPLOY / "kubernetes" / "page.yaml").read_text(encoding="utf-8")
    parts = {part["kind"]: part for part in yaml.safe_load_all(text)}
    assert sorted(parts) == ["Deployment", "PersistentVolumeClaim", "Service"]
    pod = parts["Deployment"]["spec"]["template"]["spec"]
    (page,) = pod["containers"]
    assert not_root(pod["securityContext"])
    assert hardened(page)
    environment = {item["name"]: item["value"] for item in page["env"]}
    for probe, path in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
        asked = page[probe]["httpGet"]
        assert asked["path"] == f"/healthz/{path}"
        (header,) = asked["httpHeaders"]
        assert environment["HUNTER_PUBLIC_URL"] == f"https://{header['value']}"
    claim = parts["PersistentVolumeClaim"]["metadata"]["name"]
    assert [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "emptyDir" not in volume] == [
        claim
    ]
    labels = parts["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert parts["Service"]["spec"]["selector"] == labels
