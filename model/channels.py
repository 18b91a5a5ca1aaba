"""The input channels: four sequences of five contiguous axial slices, stacked (paper, Fig. 4)."""

SEQUENCES = ("BRAVO", "PRE_CUBE", "POST_CUBE", "FLAIR")
"""The order of the channels; the same names and order as dicom_node.contract.slots.SequenceSlot."""
SLICES = 5
"""Contiguous axial slices of each sequence; the output is the centre one."""
CHANNELS = len(SEQUENCES) * SLICES
SIZE_PX = 256
"""Rows and columns of an input slice."""
SPACING_MM = 0.9375
"""In plane: 240 mm over 256 px (paper, Table 3)."""
SLICE_SPACING_MM = 1.0
