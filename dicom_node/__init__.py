"""The DICOM node: receives studies, sorts their series into slots, owes the work, sends the results.

Read the rooms in the order of the data: association -> store -> study -> slots -> jobs -> (worker) -> jobs -> delivery.
Nothing here imports torch, SimpleITK or highdicom.
"""
