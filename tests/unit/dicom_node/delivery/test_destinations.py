"""Each destination is owed what it asked for, and the report that names what it gets."""

import pytest

from dicom_node.contract.messages import Product, ProductFile
from dicom_node.delivery.destinations import wanted_files, wanted_products
from dicom_node.settings import DestinationSettings

SEG, EACH, SR, SR_2 = Product.SEG, Product.SEG_PER_LESION, Product.SR, Product.SR_COMPREHENSIVE


def at(*products: Product) -> DestinationSettings:
    return DestinationSettings(name="pacs", ae_title="PACS", products=products)


def outcome(**files: Product) -> tuple[ProductFile, ...]:
    return tuple(
        ProductFile(
            product=product,
            file_name=f"{name}.dcm",
            sha256="0" * 64,
            sop_class_uid="1.2",
            sop_instance_uid="1.2.3",
            series_instance_uid="1.2.4",
        )
        for name, product in files.items()
    )


BOTH = outcome(seg=SEG, each=EACH, rtstruct=Product.RTSTRUCT, sr=SR, sr_of_each=SR, sr_2=SR_2, sr_2_of_each=SR_2)
NEGATIVE = outcome(sr=SR, sr_2=SR_2)
ALONE = outcome(each=EACH, sr=SR)


@pytest.mark.parametrize(
    ("made", "products", "owed"),
    [
        (BOTH, (SEG, SR), ["seg", "sr"]),
        (BOTH, (EACH, SR), ["each", "sr_of_each"]),
        (BOTH, (SR, EACH), ["each", "sr_of_each"]),
        (BOTH, (SEG, EACH, SR), ["seg", "each", "sr"]),
        (BOTH, (EACH, SR_2), ["each", "sr_2_of_each"]),
        (BOTH, (EACH, SR, SR_2), ["each", "sr_of_each", "sr_2_of_each"]),
        (BOTH, (SR,), ["sr"]),
        (BOTH, (Product.RTSTRUCT, SR), ["rtstruct", "sr"]),
        (BOTH, (EACH,), ["each"]),
        (NEGATIVE, (SEG, SR), ["sr"]),
        (NEGATIVE, (EACH, SR_2), ["sr_2"]),
        (ALONE, (EACH, SR), ["each", "sr"]),
        (ALONE, (Product.SEG_FRACTIONAL,), []),
    ],
)
def test_files_of_a_destination(made: tuple[ProductFile, ...], products: tuple[Product, ...], owed: list[str]) -> None:
    assert [file.file_name for file in wanted_files(made, at(*products))] == [f"{name}.dcm" for name in owed]


def test_a_job_makes_what_any_destination_wants() -> None:
    assert wanted_products([at(SR, EACH), at(SEG, SR)]) == (SEG, EACH, SR)
    assert wanted_products([]) == ()
