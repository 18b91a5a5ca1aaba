"""What a destination wants: which products of an outcome, and which presentation contexts to ask it for.

Consumers: deliver.py, c_store.py, connection.py and echo.py. Pure.
"""

from collections.abc import Iterable, Sequence

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.contract.messages import Product, ProductFile
from dicom_node.delivery.outgoing import OutgoingFile
from dicom_node.settings import DestinationSettings

PRODUCT_CLASSES: dict[Product, str] = {
    Product.SEG: "1.2.840.10008.5.1.4.1.1.66.4",
    Product.SEG_PER_LESION: "1.2.840.10008.5.1.4.1.1.66.4",
    Product.SEG_FRACTIONAL: "1.2.840.10008.5.1.4.1.1.66.4",
    Product.PARAMETRIC_MAP: "1.2.840.10008.5.1.4.1.1.30",
    Product.RTSTRUCT: "1.2.840.10008.5.1.4.1.1.481.3",
    Product.SECONDARY_CAPTURE: "1.2.840.10008.5.1.4.1.1.7",
    Product.SR: "1.2.840.10008.5.1.4.1.1.88.34",
    Product.SR_COMPREHENSIVE: "1.2.840.10008.5.1.4.1.1.88.33",
}
"""Storage SOP class of each product (PS3.4 B.5), for asking a destination before there is a result."""

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model SOP Class (PS3.4 Annex J)."""

_REPORTS = (Product.SR, Product.SR_COMPREHENSIVE)
_NAMED_BY_REPORTS = (Product.SEG, Product.SEG_PER_LESION)


def wanted_files(products: Sequence[ProductFile], destination: DestinationSettings) -> tuple[ProductFile, ...]:
    """The files of an outcome that the destination asked for, those that a report refers to before the reports.

    A product that the outcome does not hold is not owed: a negative study has an SR and no SEG. An outcome with several
    segmentations holds as many reports of a class, in the same order (worker/results/write.py); the destination gets
    the report that names the segmentation it gets.
    """
    wanted = [file for file in products if file.product in destination.products and file.product not in _REPORTS]
    wanted.sort(key=lambda file: list(Product).index(file.product))
    made = [file.product for file in products if file.product in _NAMED_BY_REPORTS]
    own = next((number for number, product in enumerate(made) if product in destination.products), 0)
    for report in _REPORTS:
        choice = [file for file in products if file.product is report and report in destination.products]
        if choice:
            wanted.append(choice[min(own, len(choice) - 1)])
    return tuple(wanted)


def wanted_products(destinations: Iterable[DestinationSettings]) -> tuple[Product, ...]:
    """The union over the destinations, in the order of `Product`: what a job must make."""
    wanted = {product for destination in destinations for product in destination.products}
    return tuple(product for product in Product if product in wanted)


def classes_of(products: Iterable[Product]) -> tuple[str, ...]:
    """Storage SOP classes of products, each once, in the order given."""
    return tuple(dict.fromkeys(PRODUCT_CLASSES[product] for product in products))


def remedy(sop_class: str) -> str:
    """What a person can do where a destination refuses a class."""
    if sop_class == STORAGE_COMMITMENT:
        return "enable it there, or set `storage_commitment = false`"
    return "enable it there, or take the product out of the destination's `products`"


def contexts_for(files: Iterable[OutgoingFile]) -> list[PresentationContext]:
    """One context for each class and transfer syntax among the files, and no other.

    Uncompressed files are also offered in Implicit VR Little Endian, which every DICOM node must take (PS3.5 10.1).
    """
    asked: dict[tuple[str, str], PresentationContext] = {}
    for file in files:
        syntaxes = [file.transfer_syntax_uid]
        if not UID(file.transfer_syntax_uid).is_compressed:
            syntaxes.append(str(ImplicitVRLittleEndian))
        for syntax in syntaxes:
            asked[file.sop_class_uid, syntax] = build_context(file.sop_class_uid, syntax)
    return list(asked.values())
