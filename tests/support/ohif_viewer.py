"""Hands and eyes for OHIF in a test: open a study, show a series, turn to a slice, see where the overlay is.

Looks at pixels of the screen; asks the viewer only where a point of the patient lies on it (`worldToCanvas` of the
image itself, which knows nothing of a segmentation).
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support.ohif import Page

PATIENCE_MS = 60_000
"""WebGL in software on a busy machine is slow."""
SETTLE_MS = 2000
"""A double click before an image has settled can be lost: OHIF then goes back to that image."""
TRIES = 20
_REDDER_BY = 40
"""The overlay tints grey pixels: red exceeds green by more than this."""
_VIEWPORT = (
    "services.cornerstoneViewportService.getCornerstoneViewport(services.viewportGridService.getActiveViewportId())"
)


class OhifViewer:
    """One page with OHIF in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.errors = page.errors
        self._page = page.page
        self._address = address
        self._page.set_default_timeout(PATIENCE_MS)
        self._page.add_init_script("localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))")

    def open(self, study_instance_uid: str, *, series: int) -> None:
        """Load a study and wait until it lists so many series."""
        url = f"{self._address}/viewer?StudyInstanceUIDs={study_instance_uid}"
        self._page.goto(url, wait_until="commit", timeout=PATIENCE_MS)
        self._await(f"document.querySelectorAll('[data-cy^=study-browser-thumbnail]').length >= {series}")
        self._await(f"{_VIEWPORT}?.getImageIds?.().length > 0 && {_VIEWPORT}.viewportStatus == 'rendered'")
        self._page.wait_for_timeout(SETTLE_MS)

    def show_images(self, description: str) -> None:
        """Open an image series by its description. OHIF lays a SEG over what is open; it shows on its own series."""
        listed = self._page.locator("[data-cy=study-browser-thumbnail]").filter(has_text=description).first
        series = "services.displaySetService.getActiveDisplaySets().filter(d => d.SeriesDescription == wanted)"
        shown = f"{series}.some(d => {_VIEWPORT}?.getImageIds?.()[0]?.includes('/' + d.SeriesInstanceUID + '/'))"
        for _ in range(TRIES):
            listed.dblclick()
            self._page.wait_for_timeout(SETTLE_MS)
            if self._page.evaluate(f"wanted => {shown}", description):
                return
        raise AssertionError(f"OHIF does not open the series {description!r}")

    def show(self, modality: str) -> None:
        """Open the series of a modality as a radiologist does: a double click in the list."""
        listed = self._page.locator("[data-cy=study-browser-thumbnail-no-image]").filter(has_text=modality).first
        listed.dblclick()

    def await_segmentation(self) -> list[str]:
        """Wait until a segmentation lies over the image; gives the labels of its segments."""
        self._await("services.segmentationService.getSegmentations().some(s => Object.keys(s.segments).length)")
        self._await(f"services.segmentationService.getSegmentationRepresentations({_VIEWPORT}.id).length")
        found: list[str] = self._page.evaluate(
            "services.segmentationService.getSegmentations().flatMap(s => Object.values(s.segments).map(o => o.label))"
        )
        return found

    def await_measurements(self) -> list[tuple[str, list[str]]]:
        """Wait until the report is read; gives for each lesion its tracking identifier and what is shown with it."""
        reports = "services.displaySetService.getActiveDisplaySets().filter(d => d.Modality == 'SR' && d.isLoaded)"
        self._await(f"{reports}.length")
        shown = "m.labels.map(l => `${l.label} ${l.value}`)"
        found = self._page.evaluate(f"{reports}[0].measurements.map(m => [m.TrackingIdentifier, {shown}])")
        return [(name, labels) for name, labels in found]

    def turn_to(self, sop_instance_uid: str) -> None:
        """Show the slice of an instance of the series in the viewport."""
        shown = f"{_VIEWPORT}.getCurrentImageId()?.includes('/{sop_instance_uid}/')"
        self._await(f"{_VIEWPORT}?.getImageIds?.().some(id => id.includes('/{sop_instance_uid}/'))")
        self._page.evaluate(
            f"(async () => {{ const v = {_VIEWPORT}; const at = v.getImageIds().findIndex("
            f"id => id.includes('/{sop_instance_uid}/')); await v.setImageIdIndex(at); v.render(); }})()"
        )
        self._await(shown)
        self._page.wait_for_timeout(1500)

    def on_screen(self, points_mm: Sequence[Sequence[float]]) -> np.ndarray:
        """Where points of the patient (LPS, mm) lie on the page: (N, 2), x and y in pixels."""
        world = [[float(v) for v in point] for point in points_mm]
        found = self._page.evaluate(
            f"world => {{ const v = {_VIEWPORT}; const box = v.element.getBoundingClientRect();"
            " return world.map(p => { const c = v.worldToCanvas(p); return [box.x + c[0], box.y + c[1]]; }); }",
            world,
        )
        return np.array(found)

    def overlay(self) -> np.ndarray:
        """(height, width) bool: where the page's image is tinted by a segment."""
        pixels = self.pixels().astype(int)
        box = self._page.evaluate(f"(() => {{ const b = {_VIEWPORT}.element.getBoundingClientRect();"
                                  " return [b.x, b.y, b.width, b.height]; })()")  # fmt: skip
        x, y, width, height = (round(v) for v in box)
        tinted = pixels[..., 0] - pixels[..., 1] > _REDDER_BY
        inside = np.zeros_like(tinted)
        inside[y : y + height, x : x + width] = True
        found: np.ndarray = tinted & inside
        return found

    def drawn_lines(self) -> int:
        """How many annotation lines are drawn over the image."""
        self._page.mouse.move(*(int(v) for v in self._middle()))
        self._page.mouse.wheel(0, 100)
        self._page.wait_for_timeout(1000)
        self._page.mouse.wheel(0, -100)
        self._await("document.querySelectorAll('svg.svg-layer line').length > 0")
        count: int = self._page.evaluate("document.querySelectorAll('svg.svg-layer line').length")
        return count

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8: the page as it is seen."""
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self._page.screenshot(timeout=PATIENCE_MS))).convert("RGB"))

    def save(self, path: Path) -> None:
        self._page.screenshot(path=str(path), timeout=PATIENCE_MS)

    def _middle(self) -> Any:
        return self._page.evaluate(f"(() => {{ const b = {_VIEWPORT}.element.getBoundingClientRect();"
                                   " return [b.x + b.width / 2, b.y + b.height / 2]; })()")  # fmt: skip

    def _await(self, condition: str) -> None:
        self._page.wait_for_function(condition, timeout=PATIENCE_MS)
