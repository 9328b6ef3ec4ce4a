"""The files in deploy/ say what the code understands."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from edge_robot.cli.backend import register
from edge_robot.fleet.backend.serving import Models, ServerSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def options() -> set[str]:
    """The options of `edge-robot backend`."""
    app = typer.Typer()
    register(app)
    return {option for parameter in get_command(app).params for option in parameter.opts}


def pods(node: Any) -> Iterator[dict[str, Any]]:
    """Whatever has containers, anywhere in a manifest."""
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from pods(child)


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_manifests_start_the_backend_as_it_is_and_mount_what_there_is(file: Path) -> None:
    for document in documents(file):
        assert document["apiVersion"] and document["kind"] and document["metadata"]["name"]
        for pod in pods(document):
            volumes = {volume["name"] for volume in pod.get("volumes", ())}
            for container in pod["containers"]:
                assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
                if container["image"] == "edge-robot-backend:latest":
                    told = {argument.split("=")[0] for argument in container["args"]}
                    assert told <= options()


def test_probes_and_ports_are_those_that_the_backend_is_told() -> None:
    deployment, service, _ = documents(DEPLOY / "kubernetes" / "backend.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = dict(argument.removeprefix("--").split("=") for argument in container["args"])
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert ports == {"grpc": told["port"], "http": told["http-port"]}
    paths = {container[f"{what}Probe"]["httpGet"]["path"] for what in ("liveness", "readiness")}
    assert paths == {"/v2/health/live", "/v2/health/ready"}
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pause + float(told["grace"]) < grace
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_the_ray_application_has_the_arguments_and_deployments_of_the_code() -> None:
    service, *_ = documents(DEPLOY / "kubernetes" / "rayservice.yaml")
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    module, _, function = application["import_path"].partition(":")
    source = importlib.util.find_spec(module)
    assert source is not None and source.origin is not None
    code = Path(source.origin).read_text()
    names = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    assert function in names
    arguments = application["args"]
    assert set(arguments) == {"workers", "models", "server"}
    assert set(arguments["models"]) <= {field.name for field in fields(Models)}
    assert set(arguments["server"]) <= {field.name for field in fields(ServerSettings)}
    deployments = {deployment["name"] for deployment in application["deployments"]}
    assert deployments == set(re.findall(r'(?:DEPLOYMENT = |name=)"(\w+)"', code))


def test_the_systemd_unit_starts_the_backend_as_it_is() -> None:
    unit = (DEPLOY / "systemd" / "edge-robot-backend.service").read_text()
    (command,) = re.findall(r"^ExecStart=\S+/edge-robot backend (.+)$", unit, re.MULTILINE)
    assert {word for word in command.split() if word.startswith("--")} <= options()
    grace = float(re.findall(r"--grace (\d+)", command)[0])
    assert float(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > grace


def test_mlservers_settings_name_the_runtime_beside_them() -> None:
    folder = DEPLOY / "mlserver"
    settings = json.loads((folder / "model-settings.json").read_text())
    module, _, name = settings["implementation"].rpartition(".")
    tree = ast.parse((folder / f"{module}.py").read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def test_ray_options_are_read_as_the_command_reads_them() -> None:
    (chosen,) = documents(DEPLOY / "ray.yaml")
    assert chosen["autoscaling_config"]["min_replicas"] >= 1
    assert set(chosen) == {"autoscaling_config", "ray_actor_options"}
