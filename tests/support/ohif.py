"""OHIF beside Orthanc's DICOMweb, behind nginx, in a headless Chromium: the viewer that results must be visible in.

    with running_ohif(tmp_path, orthanc) as url, open_page() as page:
        page.goto(f"{url}/viewer?StudyInstanceUIDs={study}")

OHIF is the build in the npm package; `GET_OHIF` gets it. Tests skip, with the command, where something is missing.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.orthanc import Orthanc

OHIF = "@ohif/app@3.13.2"
GET_OHIF = (
    f"mkdir -p build/ohif && cd build/ohif && npm pack --silent {OHIF} && tar -xzf ohif-app-*.tgz && rm ohif-app-*.tgz"
)
"""Run in the root of the repository; 204 MB in build/, which git ignores."""
CHROMIUM_FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""WebGL in software."""


def ohif_folder() -> Path:
    """The build that is served. `QUARTET_OHIF` names another folder than build/ohif/package/dist."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("QUARTET_OHIF", root / "build" / "ohif" / "package" / "dist"))
    if not (folder / "index.html").exists():
        pytest.skip(GET_OHIF)
    return folder


@contextmanager
def running_ohif(folder: Path, orthanc: Orthanc) -> Iterator[str]:
    """Serve OHIF at / and Orthanc's DICOMweb at /dicom-web of one free loopback port. Gives the address."""
    served = ohif_folder()
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("apt-get install nginx-light")
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "app-config.js").write_text(f"window.config = {json.dumps(_application())};")
    settings = folder / "nginx.conf"
    settings.write_text(_nginx(folder, served, port, orthanc))
    process = subprocess.Popen([program, "-c", str(settings), "-p", str(folder), "-e", str(folder / "error.log")])
    try:
        _await_start(f"http://127.0.0.1:{port}/app-config.js", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _application() -> dict[str, Any]:
    return {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showLoadingIndicator": True,
        "showWarningMessageForCrossOrigin": False,
        "investigationalUseDialog": {"option": "never"},
        "disableConfirmationPrompts": True,
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": {
                    "friendlyName": "Orthanc",
                    "name": "orthanc",
                    "wadoUriRoot": "/dicom-web",
                    "qidoRoot": "/dicom-web",
                    "wadoRoot": "/dicom-web",
                    "qidoSupportsIncludeField": False,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "wadors",
                    "enableStudyLazyLoad": True,
                    "supportsFuzzyMatching": False,
                    "supportsWildcard": True,
                    "omitQuotationForMultipartRequest": True,
                    "bulkDataURI": {"enabled": True},
                },
            }
        ],
    }


def _nginx(folder: Path, served: Path, port: int, orthanc: Orthanc) -> str:
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    default_type application/octet-stream;
    types {{
        text/html html; text/css css; application/javascript js; application/json json;
        application/wasm wasm; image/svg+xml svg; image/png png; font/woff2 woff2;
    }}
{temporary}
    server {{
        listen 127.0.0.1:{port};
        add_header Cross-Origin-Opener-Policy same-origin;
        add_header Cross-Origin-Embedder-Policy require-corp;
        location /dicom-web/ {{
            proxy_pass http://127.0.0.1:{orthanc.http_port};
            proxy_set_header Host $http_host;
            proxy_buffering off;
        }}
        location = /app-config.js {{ root {folder}; }}
        location / {{ root {served}; try_files $uri /index.html; }}
    }}
}}
"""


def _await_start(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            httpx.get(url, timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("nginx did not start")


@dataclass
class Page:
    """A browser page and what its console said."""

    page: Any
    errors: list[str] = field(default_factory=list)
    """Console errors and uncaught exceptions."""


@contextmanager
def open_page(width: int = 1280, height: int = 800) -> Iterator[Page]:
    """A page in a headless Chromium with WebGL in software."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        opened = Page(browser.new_page(viewport={"width": width, "height": height}))
        opened.page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        try:
            yield opened
        finally:
            browser.close()
