"""Joins rooms with the world: clock, file system, broker and catalog come together here, and nowhere else.

receive.py, coordinate.py, view.py and check.py take their parts from here.
"""

import os
import socket
from datetime import UTC, datetime
from functools import partial

from dicom_node.catalog.database import Database
from dicom_node.delivery.deliver import Courier
from dicom_node.delivery.destinations import wanted_products
from dicom_node.errors import SettingsError
from dicom_node.jobs.dispatch import Dispatcher
from dicom_node.jobs.doorbell import CeleryDoorbell
from dicom_node.settings import Settings
from dicom_node.slots.classify import classify_study
from dicom_node.store.instances import InstanceStore
from dicom_node.study.lifecycle import Lifecycle

BROKER_VARIABLE = "QUARTET_BROKER_URL"
"""Where `quartet serve` tells its parts the embedded broker's URL."""


def now() -> datetime:
    """The clock: UTC, aware."""
    return datetime.now(UTC)


def broker_url(settings: Settings) -> str:
    """The broker in force. Raises `SettingsError` for the embedded one outside of `quartet serve`."""
    url = os.environ.get(BROKER_VARIABLE) or settings.broker.url
    if url == "embedded":
        raise SettingsError('broker.url = "embedded" is for `quartet serve`; parts that run apart need redis://...')
    return url


def open_database(settings: Settings) -> Database:
    """The catalog, migrated. Raises `CatalogError`."""
    return Database(settings.catalog_url)


def open_store(settings: Settings) -> InstanceStore:
    """The store, its folders made. Raises `StoreUnusable`."""
    store = InstanceStore(settings.storage.root, settings.storage.reserve_bytes)
    store.prepare()
    return store


def receiver_name(settings: Settings) -> str:
    """Names this receiver among several that share a catalog."""
    return f"{socket.gethostname()}:{settings.association.port}"


def make_lifecycle(settings: Settings, database: Database) -> Lifecycle:
    """Completes studies by the built-in rules and the site's own."""
    return Lifecycle(
        database=database,
        classify=partial(classify_study, site_rules=settings.slots.rules),
        settings=settings.study,
        products=wanted_products(settings.destinations),
    )


def make_dispatcher(settings: Settings, database: Database) -> Dispatcher:
    """Rings the workers and takes their outcomes."""
    return Dispatcher(
        database=database,
        storage_root=settings.storage.root,
        ring=CeleryDoorbell(broker_url(settings)).ring,
        settings=settings.jobs,
        destinations=settings.destinations,
    )


def make_courier(settings: Settings, database: Database) -> Courier:
    """Brings results to their destinations."""
    from dicom_node.catalog.ledger import CatalogLedger

    return Courier(
        ledger=CatalogLedger(database, storage_root=settings.storage.root, retry=settings.retry),
        destinations={destination.name: destination for destination in settings.destinations},
        own_ae_title=settings.association.ae_title,
        retry=settings.retry,
        clock=now,
    )
