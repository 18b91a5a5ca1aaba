"""What a destination wants: which products of an outcome, and which presentation contexts to ask it for.

deliver.py and c_store.py call it. Pure.
"""

from collections.abc import Iterable, Sequence

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.contract.messages import Product, ProductFile
from dicom_node.delivery.outgoing import OutgoingFile
from dicom_node.settings import DestinationSettings

_REPORTS = (Product.SR, Product.SR_COMPREHENSIVE)


def wanted_files(products: Sequence[ProductFile], destination: DestinationSettings) -> tuple[ProductFile, ...]:
    """The files of an outcome that the destination asked for, those that a report refers to before the reports.

    A product that the outcome does not hold is not owed: a negative study has an SR and no SEG.
    """
    wanted = [file for file in products if file.product in destination.products]
    return tuple(sorted(wanted, key=lambda file: (file.product in _REPORTS, list(Product).index(file.product))))


def wanted_products(destinations: Iterable[DestinationSettings]) -> tuple[Product, ...]:
    """The union over the destinations, in the order of `Product`: what a job must make."""
    wanted = {product for destination in destinations for product in destination.products}
    return tuple(product for product in Product if product in wanted)


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
