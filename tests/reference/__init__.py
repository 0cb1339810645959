"""The formulas of the method once more: plain Python floats (float64) in obvious loops.

Written from the formulas in projects/TADistill/README.md, not from the package, and slow wherever
that makes them easier to check by eye. Arguments are nested sequences or NumPy arrays; results
are floats and booleans, or nested lists of them. Suffix S: student, T: teacher.
"""
