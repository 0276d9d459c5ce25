"""Lets the libraries of Standard Webhooks verify what the service sends.

The receivers are those of the README, as they stand there, with the libraries for Node and Python and by hand
in PHP and Go; another message is verified by Svix's library and, for the key pair, by Node's own Ed25519.
"""

import http.server
import json
import os
import pathlib
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

import serving

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 30
# What the recipe in PHP leaves to the reader: to do something with what it believes.
SHOWN = """
if (http_response_code() === 204) {
    $event = json_decode($body, true);
    file_put_contents('php://stdout', "{$event['type']} {$event['data']['customer_id']}\\n");
}
"""


def recipe(language):
    """The receiver in the README."""
    text = (HERE.parent.parent / "README.md").read_text(encoding="utf-8")
    part = text.split("### Receive our webhooks", 1)[1].split("\n### ", 1)[0]
    return re.search(rf"```{language}\n(.*?)```", part, re.DOTALL).group(1)


class Owner:
    def __init__(self, api):
        self.api = api

    def post(self, path, body):
        return self.api.send("POST", f"/v1{path}", body)

    def endpoint(self, port, **settings):
        body = {"url": f"http://127.0.0.1:{port}/", "event_types": ["customer.created"], **settings}
        return self.post("/webhook_endpoints", body)

    def customer(self):
        return self.post("/customers", {"first_name": "Ada"})["id"]


def wait_until_open(port):
    for _ in range(SECONDS * 10):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"{}")
        except urllib.error.HTTPError as refused:
            # Not signed.
            assert refused.code == 400, refused.code
            return None
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody listens on {port}")


def try_receiver(name, owner, command, env):
    """A receiver prints what it believes, and refuses what nobody signed."""
    port = serving.free_address().rsplit(":", 1)[1]
    endpoint = owner.endpoint(port)
    env = {**env, "PORT": port, "WEBHOOK_SECRET": endpoint["secret"]}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            wait_until_open(port)
            customer, lines = owner.customer(), queue.Queue()
            threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()
            line = lines.get(timeout=SECONDS)
            assert line.split() == ["customer.created", customer], line
        finally:
            process.terminate()
    print(f"webhooks, {name}: verified")


class Sink(http.server.BaseHTTPRequestHandler):
    """Keeps what came."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.came.put({"body": body, "headers": headers})
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def try_verifiers(owner, scripts, env):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        server.came = queue.Queue()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = owner.endpoint(server.server_address[1], signatures=["v1", "v1a"])
        rotated = owner.post(f"/webhook_endpoints/{endpoint['id']}/rotate_secret", {})
        owner.customer()
        message = server.came.get(timeout=SECONDS)
        server.shutdown()
    message |= {"secrets": [endpoint["secret"], rotated["secret"]], "public_key": endpoint["public_key"]}
    verified = subprocess.run(["node", scripts / "webhooks.mjs"], input=json.dumps(message), env=env,
                              capture_output=True, text=True, timeout=SECONDS)
    assert verified.returncode == 0 and "done" in verified.stdout, verified.stderr
    print("webhooks, svix and both secrets and the key pair: verified")


def built_with_go(home, scripts):
    source = (HERE / "receiver.go").read_text(encoding="utf-8") + recipe("go")
    (scripts / "receiver.go").write_text(source, encoding="utf-8")
    binary, env = home / "receiver", {**os.environ, "GOCACHE": str(home / "go")}
    subprocess.run([home / "venv" / "bin" / "go", "build", "-o", binary, "receiver.go"], cwd=scripts, env=env,
                   check=True)
    return binary


def try_libraries(home, api):
    owner, scripts = Owner(api), home / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "receiver.mjs").write_text(recipe("ts"), encoding="utf-8")
    (scripts / "receiver.py").write_text(recipe("python"), encoding="utf-8")
    (scripts / "webhooks.mjs").write_text((HERE / "webhooks.mjs").read_text(encoding="utf-8"), encoding="utf-8")
    try_receiver("standardwebhooks for Node", owner, ["node", scripts / "receiver.mjs"], os.environ)
    python = home / "venv" / "bin" / "python"
    try_receiver("standardwebhooks for Python", owner, [python, scripts / "receiver.py"], os.environ)
    (scripts / "receiver.php").write_text(f"<?php\n{recipe('php')}{SHOWN}", encoding="utf-8")
    php = f'exec php -d display_errors=0 -S "127.0.0.1:$PORT" {scripts / "receiver.php"}'
    try_receiver("by hand in PHP", owner, ["sh", "-c", php], os.environ)
    try_receiver("by hand in Go", owner, [built_with_go(home, scripts)], os.environ)
    try_verifiers(owner, scripts, os.environ)
