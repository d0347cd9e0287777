"""A local worker process: Beam's own, without its chatter.

What a worker raises comes back to the driver as an exception, so its log on the screen would
only say it twice, in the middle of a progress bar.
"""

from __future__ import annotations

import logging
import sys


def main() -> None:
    """Serve the runner that started this process until it ends."""
    logging.disable(logging.CRITICAL)
    from apache_beam.runners.worker.sdk_worker_main import main as serve

    serve(sys.argv)


if __name__ == "__main__":
    main()
