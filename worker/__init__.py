"""The worker: one job, end to end. Read pipeline.py first; it is the flow as ten calls.

volume -> inference -> lesions -> results. Of the node it knows only dicom_node.contract.
"""
