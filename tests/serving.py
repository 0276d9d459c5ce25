"""A service for a script: the debug binary on a private PostgreSQL in a temporary folder."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("ECRM_BINARY", ROOT / "target" / "debug" / "ecrm"))


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def wait_until_ready(service, url, seconds=120):
    for _ in range(seconds * 5):
        if service.poll() is not None:
            sys.exit(f"the service ended with code {service.returncode}")
        try:
            return urllib.request.urlopen(f"{url}/health/ready", timeout=2).read()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit("the service is not ready")


def ecrm(env, *command):
    done = subprocess.run([BINARY, *command], env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextlib.contextmanager
def service(purpose, **settings):
    """Serves while the block runs: its URL, the environment of further commands, and the folder."""
    if "ECRM_BINARY" not in os.environ:
        subprocess.run(["cargo", "build", "--locked"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix=f"ecrm-{purpose}-") as name:
        # The private PostgreSQL may run as another user.
        os.chmod(name, 0o755)
        folder, address = pathlib.Path(name), free_address()
        url = f"http://{address}"
        env = {**os.environ, "ECRM_BIND": address, "ECRM_PUBLIC_URL": url, "DATABASE_URL": "",
               "ECRM_DATA_DIR": str(folder / "data"), "RUST_LOG": "error", **settings}
        process = subprocess.Popen([BINARY, "serve", "--no-demo"], env=env, stdout=subprocess.DEVNULL)
        try:
            wait_until_ready(process, url)
            yield url, env, folder
        finally:
            process.terminate()
            ended = process.wait(timeout=60)
        if ended:
            sys.exit(f"the service ended with code {ended}")
