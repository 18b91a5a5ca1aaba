"""What deploy/ holds can be used: files parse, settings are accepted, commands exist, links and anchors resolve."""

import configparser
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from dicom_node import cli
from dicom_node.settings import load, parse
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DEPLOY.glob("*.md"))]
COMMANDS = set(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """The YAML documents of a file."""
    yield from yaml.safe_load_all(path.read_text())


@pytest.mark.parametrize("name", ["quartet.example.toml", "container.example.toml"])
def test_the_settings_are_accepted_by_node_and_worker(name: str) -> None:
    settings = load(DEPLOY / name)
    WorkerSettings.model_validate(settings.worker)
    if name.startswith("container"):
        assert settings.broker.url.startswith("redis://")
        assert settings.catalog_url.startswith("postgresql+psycopg://")
        assert settings.destinations


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_parses_and_runs_a_command_that_exists(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    service = parser["Service"]
    program, command, *rest = service["ExecStart"].split()
    assert program == "/opt/quartet/.venv/bin/quartet"
    assert command in COMMANDS
    assert rest == ["--config", "/etc/quartet/quartet.toml"]
    assert service["User"] == "quartet"
    assert int(service["TimeoutStopSec"]) >= 60
    assert service["RestartPreventExitStatus"] == str(cli.UNUSABLE)
    assert (ROOT / parser["Unit"]["Documentation"].removeprefix("file:/opt/quartet/")).is_file()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_no_fault_in_a_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program that exists."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("apt-get install systemd")
    copy = tmp_path / unit.name.replace("@", "@0")
    copy.write_text(unit.read_text().replace("/opt/quartet/.venv/bin/quartet", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    faults = [line for line in done.stderr.splitlines() if unit.name.split("@")[0].removesuffix(".service") in line]
    assert [line for line in faults if "Unknown" in line or "Failed to parse" in line or "Invalid" in line] == []


def test_compose_runs_what_exists() -> None:
    (compose,) = documents(DEPLOY / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"receive", "coordinate", "worker", "redis", "postgres"}
    for name in ("receive", "coordinate"):
        assert services[name]["command"] == [name]
        assert services[name]["image"] == f"quartet-node:{VERSION}"
    for service in services.values():
        if "build" in service:
            assert (DEPLOY.parent / service["build"]["dockerfile"]).is_file()
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or source == "./quartet.toml"


def test_kubernetes_is_consistent() -> None:
    """Each document has a kind and a name; claims, secrets and config maps that pods use are there; settings load."""
    everything = [one for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for one in documents(path)]
    known = {(one["kind"], one["metadata"]["name"]) for one in everything}
    assert len(known) == len(everything)
    text = next(one for one in everything if one["kind"] == "ConfigMap")["data"]["quartet.toml"]
    settings = parse(tomllib.loads(text), source="config.yaml")
    for url, kind in ((settings.broker.url, "broker"), (settings.catalog_url, "catalog")):
        assert ("Service", f"quartet-{kind}") in known
        assert f"quartet-{kind}" in url
    for deployment in (one for one in everything if one["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert set(container.get("args", [])) <= COMMANDS
        assert container["image"].endswith(f":{VERSION}")
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in known
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in known
        for variable in container.get("env", []):
            assert ("Secret", variable["valueFrom"]["secretKeyRef"]["name"]) in known


def test_the_images_copy_what_exists_and_run_commands_that_exist() -> None:
    for name in ("node.Dockerfile", "worker.Dockerfile"):
        for line in (DEPLOY / name).read_text().splitlines():
            if line.startswith("COPY ") and "--from" not in line:
                assert all((ROOT / word).exists() for word in line.split()[1:-1]), line
    assert 'CMD ["receive"]' in (DEPLOY / "node.Dockerfile").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_resolves(page: Path) -> None:
    """Relative links lead to files of the repository, anchors to headings; the web is not asked."""
    for target in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_and_target_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    said = set(re.findall(r"`(?:\.venv/bin/)?quartet ([a-z]+)", text)) | set(
        re.findall(r"^ +(?:\.venv/bin/)?quartet ([a-z]+)", text, re.MULTILINE)
    )
    assert said <= COMMANDS
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda path: path.name)
def test_every_file_and_folder_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`((?:tests|deploy|dicom_node|worker|model|training|\.ci)/[\w./-]+)`", page.read_text())
    modules = re.findall(r"python -m ([\w.]+)", page.read_text())
    assert named or modules
    assert [name for name in named if not (ROOT / name).exists()] == []
    homes = {name: ROOT.joinpath(*name.split(".")) for name in modules}
    assert [
        n for n, p in homes.items() if not p.with_suffix(".py").is_file() and not (p / "__main__.py").is_file()
    ] == []


def test_there_are_units_and_manifests() -> None:
    """The tests that go through them would pass on none."""
    assert UNITS
    assert list((DEPLOY / "kubernetes").glob("*.yaml"))


def test_no_page_speaks_of_web_pages_that_do_not_exist() -> None:
    """The node has no pages of its own yet."""
    for page in PAGES:
        assert "quartet web" not in page.read_text()
