"""The timeline of a session as one figure: a module per row, all rows on one time axis, with one cursor and one zoom.

To add a row: a module here with a `ChartRow`, and its name in `figure.list_rows`.
"""
