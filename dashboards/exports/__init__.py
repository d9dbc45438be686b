"""What pages say, as files: tables as CSV, figures as PNG and SVG, pages as PDF."""
