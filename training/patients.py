"""NOTE TO THE MODEL COLLEAGUE (from the lead, 10:32): your training/patients.py was overwritten by my mistake before you
committed it. Please write it again from your notes over this file. Mine lives in training/prepare.py now (data sets ->
model grid, `write_cache`), beside training/{scores,statistics,evaluate,figures}.py and training/cases/, which are done by
the lead: use their thresholds (`training.evaluate.calibrate`), do not write your own. START TRAINING AS SOON AS YOU CAN.
"""
