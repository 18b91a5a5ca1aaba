"""Hands and eyes for OHIF in a test: open a study, show a series, turn to a slice, see where the overlay is.

Judges by the pixels of the screen; asks the viewer only where a point of the patient lies on it (`worldToCanvas` of the
image itself, which knows nothing of a segmentation). Nothing here waits for a fixed time: a state of the viewer is
awaited, and what OHIF lost on a busy machine is done again.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.ohif import Page

PATIENCE_MS = 90_000
"""WebGL in software on a busy machine is slow."""
TRY_MS = 15_000
"""After so long without effect a double click counts as lost: OHIF draws its list anew while it loads."""
TRIES = 8
STEADY_MS = 400
"""Two pictures so far apart and alike: OHIF is done drawing."""
_REDDER_BY = 40
"""The overlay tints grey pixels: red exceeds green by more than this."""

_EYES = """
localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
window.quartet = {
    sets: () => window.services?.displaySetService?.getActiveDisplaySets() ?? [],
    viewport: () => {
        try {
            const id = services.viewportGridService.getActiveViewportId();
            return services.cornerstoneViewportService.getCornerstoneViewport(id);
        } catch { return undefined; }  // OHIF is still starting
    },
    shows: series => {
        const view = quartet.viewport();
        return view?.viewportStatus == 'rendered' && !!view.getCurrentImageId?.()?.includes(`/${series}/`);
    },
    opened: modality => {
        const { viewports, activeViewportId } = services.viewportGridService.getState();
        const sets = viewports.get(activeViewportId).displaySetInstanceUIDs;
        return quartet.sets().some(set => set.Modality == modality && sets.includes(set.displaySetInstanceUID));
    },
    overlays: () => services.segmentationService.getSegmentationRepresentations(quartet.viewport()?.id),
    turn: async instance => {
        const view = quartet.viewport();
        await view.setImageIdIndex(view.getImageIds().findIndex(id => id.includes(`/${instance}/`)));
        view.render();
    },
    box: () => { const b = quartet.viewport().element.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; },
};
"""


class OhifViewer:
    """One page with OHIF in it."""

    def __init__(self, page: Page, address: str) -> None:
        self.errors = page.errors
        self._page = page.page
        self._address = address
        self._page.set_default_timeout(PATIENCE_MS)
        self._page.add_init_script(_EYES)

    def open(self, study_instance_uid: str, *, series: Sequence[str]) -> None:
        """Load a study. Its series come one after the other in the order given, as networks may have it."""
        held: dict[str, Any] = {}
        address = re.compile(r"/series/([0-9.]+)/metadata")
        self._page.route(address, lambda call: held.update({address.findall(call.request.url)[0]: call}))
        url = f"{self._address}/viewer?StudyInstanceUIDs={study_instance_uid}"
        self._page.goto(url, wait_until="commit", timeout=PATIENCE_MS)
        for uid in series:
            self._until_held(uid, held)
            held[uid].continue_()
            self._await(f"window.quartet?.sets().some(set => set.SeriesInstanceUID == '{uid}')")
        self._page.unroute(address)
        self._await("quartet.viewport()?.viewportStatus == 'rendered'")
        self._await(f"document.querySelectorAll('[data-cy^=study-browser-thumbnail]').length >= {len(series)}")

    def show_segmentation(self, series_instance_uid: str) -> list[str]:
        """Open the SEG from the list. It must come up over the series given; gives the labels of its segments."""
        self._double_click("SEG", f"quartet.overlays().length && quartet.shows('{series_instance_uid}')")
        self._await("!quartet.opened('SEG')")  # read and handed over to its series
        found: list[str] = self._page.evaluate(
            "services.segmentationService.getSegmentations().flatMap(s => Object.values(s.segments).map(o => o.label))"
        )
        return found

    def show_report(self, series_instance_uid: str) -> list[tuple[str, list[str]]]:
        """Open the SR from the list; gives for each lesion its tracking identifier and what is shown with it."""
        self._double_click("SR", f"quartet.opened('SR') && quartet.shows('{series_instance_uid}')")
        report = "quartet.sets().find(set => set.Modality == 'SR')"
        self._await(f"{report}.isLoaded")
        shown = "m.labels.map(l => `${l.label} ${l.value}`)"
        found = self._page.evaluate(f"{report}.measurements.map(m => [m.TrackingIdentifier, {shown}])")
        return [(name, labels) for name, labels in found]

    def turn_to(self, sop_instance_uid: str) -> np.ndarray:
        """Show the slice of an instance; gives the page as it is seen when nothing moves any more."""
        shown = f"quartet.shows('{sop_instance_uid}')"
        self._await(f"quartet.viewport()?.getImageIds?.().some(id => id.includes('/{sop_instance_uid}/'))")
        for _ in range(TRIES):
            self._page.evaluate("instance => quartet.turn(instance)", sop_instance_uid)
            self._await(shown)
            seen = self._steady()
            if self._page.evaluate(shown):
                return seen
        raise AssertionError("OHIF does not stay on the slice")

    def on_screen(self, points_mm: Sequence[Sequence[float]]) -> np.ndarray:
        """Where points of the patient (LPS, mm) lie on the page: (N, 2), x and y in pixels."""
        world = [[float(v) for v in point] for point in points_mm]
        found = self._page.evaluate("world => world.map(p => quartet.viewport().worldToCanvas(p))", world)
        return np.array(found) + self._box()[:2]

    def tinted(self, seen: np.ndarray) -> np.ndarray:
        """(height, width) bool: where the image in a picture of the page is tinted by a segment."""
        x, y, width, height = (round(v) for v in self._box())
        found = seen[..., 0].astype(int) - seen[..., 1] > _REDDER_BY
        inside = np.zeros_like(found)
        inside[y : y + height, x : x + width] = True
        tinted: np.ndarray = found & inside
        return tinted

    def drawn_lines(self) -> np.ndarray:
        """(N, 2, 2) ends, x and y in pixels of the page, of the lines that are drawn over the image."""
        self._await("document.querySelectorAll('svg.svg-layer line').length > 0")
        ends = "['x1', 'y1', 'x2', 'y2'].map(name => Number(line.getAttribute(name)))"
        found = self._page.evaluate(f"[...document.querySelectorAll('svg.svg-layer line')].map(line => {ends})")
        return np.array(found).reshape(-1, 2, 2) + self._box()[:2]

    def picture(self) -> np.ndarray:
        """(height, width, 3) uint8: the page as it is seen."""
        return np.asarray(Image.open(io.BytesIO(self._page.screenshot(timeout=PATIENCE_MS))).convert("RGB"))

    def save(self, path: Path) -> None:
        self._page.screenshot(path=str(path), timeout=PATIENCE_MS)

    def _double_click(self, modality: str, effect: str) -> None:
        """Double click the series of a modality in the list, again where it was lost, until its effect is there."""
        listed = self._page.locator("[data-cy=study-browser-thumbnail-no-image]").filter(has_text=modality).first
        self._until(effect, listed.dblclick, f"OHIF does not show the {modality}")

    def _until_held(self, uid: str, held: Mapping[str, Any]) -> None:
        for _ in range(PATIENCE_MS // STEADY_MS):
            if uid in held:
                return
            self._page.wait_for_timeout(STEADY_MS)
        raise AssertionError("OHIF does not ask for a series")

    def _until(self, condition: str, act: Callable[[], None], complaint: str) -> None:
        from playwright.sync_api import TimeoutError as NotYetError

        for _ in range(TRIES):
            act()
            try:
                self._page.wait_for_function(condition, timeout=TRY_MS)
            except NotYetError:
                continue
            return
        raise AssertionError(f"{complaint}; the page: {self._state()}")

    def _steady(self) -> np.ndarray:
        before = self.picture()
        for _ in range(PATIENCE_MS // STEADY_MS):
            self._page.wait_for_timeout(STEADY_MS)
            seen = self.picture()
            if np.array_equal(seen, before):
                return seen
            before = seen
        raise AssertionError("OHIF does not stop drawing")

    def _box(self) -> np.ndarray:
        """x, y, width and height of the image on the page."""
        return np.array(self._page.evaluate("quartet.box()"))

    def _state(self) -> str:
        """What OHIF has loaded and shows, for the words of a failure."""
        sets = "quartet.sets().map(set => [set.Modality, set.SeriesDescription, !!set.isLoaded].join(' '))"
        return str(self._page.evaluate(f"[{sets}, quartet.viewport()?.getCurrentImageId?.()]"))

    def _await(self, condition: str) -> None:
        self._page.wait_for_function(condition, timeout=PATIENCE_MS)
