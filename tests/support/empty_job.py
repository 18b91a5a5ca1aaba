"""A job that was asked for, of a study without a series: what becomes of it never comes to its images."""

from pathlib import Path

from dicom_node.contract.job_folder import JobFolder
from dicom_node.contract.messages import JobRequest, Product


def empty_job(root: Path, job_id: str) -> JobFolder:
    """Write its request below a storage root."""
    folder = JobFolder(root, job_id)
    folder.write_request(
        JobRequest(
            job_id=job_id,
            study_instance_uid="1.2",
            snapshot_digest="d",
            created_at="2026-01-01T00:00:00+00:00",
            series=(),
            products=(Product.SR,),
        )
    )
    return folder
