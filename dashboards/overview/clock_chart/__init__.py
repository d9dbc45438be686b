"""The curves of the sessions of one stimulus as one figure: a module per row, all rows on one time axis.

To add a row: a module here with a `ClockRow`, and its name in `figure.list_rows`.
"""
