"""The report: views of a run, one HTML file that holds all of them, and the server."""
