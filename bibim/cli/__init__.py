"""One file per command or group of commands; app.py joins them."""
