"""What is owed goes out: due rows of the catalog -> send -> ask to commit -> record. The coordinator's delivery loop.

The order of the writes makes a crash at any point harmless: what was sent but not recorded is sent again, the same
bytes under the same UIDs (design invariant 5). Knows no SQL and no network, only `DeliveryLedger` and send.py.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from dicom_node.delivery.commitment import CommitmentReport, request_commitment, transaction_uid
from dicom_node.delivery.ledger import DeliveryLedger, DeliveryPhase, DueDelivery
from dicom_node.delivery.outgoing import read_outgoing
from dicom_node.delivery.report import Verdict, overall
from dicom_node.delivery.retry import next_try
from dicom_node.delivery.send import send
from dicom_node.errors import DeliveryError
from dicom_node.settings import DestinationSettings, RetrySettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Courier:
    """Brings deliveries out. One for the node; its calls are safe from any thread."""

    ledger: DeliveryLedger
    destinations: Mapping[str, DestinationSettings]
    own_ae_title: str
    retry: RetrySettings
    clock: Callable[[], datetime]
    """Now, UTC, aware."""

    def deliver_due(self) -> int:
        """Act once on all that is due, destinations side by side. Gives the number of deliveries acted on.

        Within a destination one after the other, and no further after one that found it down. A delivery whose
        destination is no longer in the settings stays owed.
        """
        by_destination: dict[str, list[DueDelivery]] = {}
        for delivery in self.ledger.due(self.clock()):
            if delivery.destination in self.destinations:
                by_destination.setdefault(delivery.destination, []).append(delivery)
        if not by_destination:
            return 0
        with ThreadPoolExecutor(max_workers=len(by_destination), thread_name_prefix="delivery") as threads:
            return sum(threads.map(self._deliver_in_turn, by_destination.values()))

    def on_commitment_report(self, report: CommitmentReport) -> bool:
        """Record a PACS's answer on commitment, from whatever association. False where we never asked."""
        known = self.ledger.record_commitment(
            report.transaction_uid, committed=report.is_whole, at=self.clock(), reason=report.reason
        )
        level = logging.INFO if known and report.is_whole else logging.WARNING
        logger.log(
            level,
            "a destination answered on storage commitment",
            extra={"action": "commitment_report", "known": known, "failed": len(report.failed)},
        )
        return known

    def _deliver_in_turn(self, deliveries: Sequence[DueDelivery]) -> int:
        for number, delivery in enumerate(deliveries, start=1):
            try:
                verdict = self._deliver(delivery)
            except Exception as error:
                # what nobody foresaw befalls one delivery: the others of the destination go out, and it is tried again
                logger.exception("a fault in a delivery", extra={"action": "deliver", "delivery": delivery.delivery_id})
                self._record(delivery, Verdict.RETRY, f"a fault of ours, {type(error).__name__}: see the log")
                continue
            if verdict is Verdict.RETRY:
                return number
        return len(deliveries)

    def _deliver(self, delivery: DueDelivery) -> Verdict:
        destination = self.destinations[delivery.destination]
        verdict, reason = Verdict.SENT, ""
        if delivery.phase is DeliveryPhase.SEND:
            worst = overall(send(destination, delivery.files, own_ae_title=self.own_ae_title))
            verdict, reason = worst.verdict, worst.reason
        if verdict is Verdict.SENT and destination.storage_commitment and destination.stow_url is None:
            verdict, reason = self._ask_to_commit(delivery, destination)
            committing = verdict is Verdict.SENT
        else:
            committing = False
        if not committing:
            self._record(delivery, verdict, reason)
        logger.log(
            logging.INFO if verdict is Verdict.SENT else logging.WARNING,
            "delivery to %s: %s%s",
            delivery.destination,
            "asked to commit" if committing else verdict,
            f", {reason}" if reason else "",
            extra={"action": "deliver", "delivery": delivery.delivery_id, "attempt": delivery.attempts + 1},
        )
        return verdict

    def _record(self, delivery: DueDelivery, verdict: Verdict, reason: str) -> None:
        now = self.clock()
        if verdict is Verdict.SENT:
            self.ledger.record_sent(delivery.delivery_id, at=now, reason=reason)
            return
        again = next_try(
            attempts=delivery.attempts + 1,
            owed_since=delivery.owed_since,
            now=now,
            settings=self.retry,
            key=delivery.delivery_id,
        )
        if verdict is Verdict.REFUSED or again is None:
            self.ledger.record_refused(delivery.delivery_id, reason=reason)
        else:
            self.ledger.record_retry(delivery.delivery_id, next_try_at=again, reason=reason)

    def _ask_to_commit(self, delivery: DueDelivery, destination: DestinationSettings) -> tuple[Verdict, str]:
        try:
            files = [read_outgoing(path) for path in delivery.files]
        except DeliveryError as error:
            return Verdict.REFUSED, str(error)
        transaction = transaction_uid(delivery.delivery_id, delivery.commitment_requests + 1)
        self.ledger.record_commitment_requested(
            delivery.delivery_id,
            transaction_uid=transaction,
            ask_again_at=self.clock() + timedelta(seconds=destination.commitment_timeout_s),
        )
        return request_commitment(
            destination,
            files,
            transaction,
            own_ae_title=self.own_ae_title,
            on_report=partial(_hand_over, self),
        )


def _hand_over(courier: Courier, report: CommitmentReport) -> None:
    courier.on_commitment_report(report)
