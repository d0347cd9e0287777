"""The job server: Beam's Spark runner and its dependencies, as one jar.

    python -m pipelines.runners.spark.install FOLDER

`mvn` copies the dependencies of this package's pom.xml to FOLDER/jars. Each jar must have its
SHA-256 in jars.sha256; then they are merged into FOLDER/job-server.jar, since executors receive
one jar. It does not contain Spark: the job server must run with the jars of the cluster itself.
"""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from pipelines.storage.files import atomic_path
from schemas.errors import BibimError, InputError
from schemas.manifest import sha256_file

FOLDER = Path(__file__).resolve().parents[3] / "build" / "spark"
"""Where `make spark` puts job server and Spark; the environment variable BIBIM_SPARK overrides."""
JAR = "job-server.jar"
LEFT_OUT = "org.apache.beam.sdk.extensions.gcp."
"""Services that an executor must not load: they need a newer Guava than Spark's. Python opens all
files, so none of them is needed. Their classes stay: the job server's main class refers to them."""
HEAD = (
    "Manifest-Version: 1.0\r\nMulti-Release: true\r\n"
    "Main-Class: org.apache.spark.deploy.PythonRunner\r\n"
)
"""The jar's manifest; spark-submit calls the main class, see bibim.spark_submit."""
SUMS = Path(__file__).with_name("jars.sha256")


def installed() -> Path:
    """Return the folder of job server and Spark. Raises InputError where the job server is
    missing."""
    folder = Path(os.environ.get("BIBIM_SPARK", FOLDER))
    if not (folder / JAR).exists():
        raise InputError(
            f"{folder / JAR}: the Spark job server is missing; run `make spark` (it needs Java 17, "
            "Maven and a package registry), or name one: -- --spark_job_server_jar=FILE"
        )
    return folder


def spark_home() -> Path:
    """Return the folder of Spark: SPARK_HOME, or the one that `make spark` installed.

    Raises InputError where Spark's jars are missing there.
    """
    given = os.environ.get("SPARK_HOME")
    home = Path(given) if given else installed() / "python" / "pyspark"
    if not any((home / "jars").glob("spark-core_*.jar")):
        raise InputError(f"{home}: Spark is missing; set SPARK_HOME, or run `make spark`")
    return home


def check(jars: Path) -> list[Path]:
    """Return the jars that `jars.sha256` names, each checked. Raises InputError if one differs."""
    expected = [line.split() for line in SUMS.read_text("utf-8").splitlines()]
    for digest, name in expected:
        path = jars / name
        if not path.exists():
            raise InputError(f"{path}: missing; run `make spark` again")
        if sha256_file(path) != digest:
            raise InputError(f"{path}: its SHA-256 is not {digest}; delete it, run `make spark`")
    return [jars / name for _, name in sorted(expected, key=lambda entry: entry[1])]


def merge(jars: list[Path], out: Path) -> None:
    """Write all entries of `jars` to the jar `out`; of entries with one name, the first.

    Lists of services are joined. Signatures and module descriptors, which would no longer match,
    are left out.
    """
    services: dict[str, list[str]] = {}
    seen: set[str] = set()
    with (
        atomic_path(out) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as merged,
    ):
        merged.writestr("META-INF/MANIFEST.MF", HEAD)
        for path in jars:
            with zipfile.ZipFile(path) as jar:
                for entry in jar.infolist():
                    name = entry.filename
                    if entry.is_dir() or name in seen or not _wanted(name):
                        continue
                    if name.startswith("META-INF/services/"):
                        lines = jar.read(entry).decode().splitlines()
                        kept = [line for line in lines if not line.startswith(LEFT_OUT)]
                        services.setdefault(name, []).extend(kept)
                        continue
                    seen.add(name)
                    merged.writestr(entry, jar.read(entry), zipfile.ZIP_DEFLATED)
        for name, lines in services.items():
            merged.writestr(name, "\n".join(lines) + "\n")


def _wanted(name: str) -> bool:
    signature = name.startswith("META-INF/") and name.endswith((".SF", ".DSA", ".RSA"))
    return (
        not signature and not name.endswith("module-info.class") and name != "META-INF/MANIFEST.MF"
    )


def main() -> None:
    """Check and merge the jars in the folder that is named."""
    folder = Path(sys.argv[1])
    try:
        merge(check(folder / "jars"), folder / JAR)
    except BibimError as error:
        raise SystemExit(f"bibim: {error}") from None
    print(f"{folder / JAR}: {(folder / JAR).stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
