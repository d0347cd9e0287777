"""The report: one HTML file with everything inside, or the same page for the server."""
