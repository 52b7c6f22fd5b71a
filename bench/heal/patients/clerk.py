"""A small HTTP service. It falls ill on request: a file in run/ names the illness, which ends with the process."""

import http.server
import json
import logging
import os
import pathlib
import resource
import signal
import sys
import threading
import time

settings = json.loads(pathlib.Path("clerk.json").read_text())
run = pathlib.Path("run")
logging.basicConfig(
    filename="logs/clerk.log", level=logging.INFO, format="%(asctime)s %(levelname)s [clerk] %(message)s"
)
log = logging.getLogger("clerk")
with (run / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\n")
if "files" in settings:
    resource.setrlimit(resource.RLIMIT_NOFILE, (settings["files"], settings["files"]))
pidfile = run / "clerk.pid"
if settings.get("pidfile"):
    if pidfile.exists():
        log.error("pid file %s exists: already running as pid %s?", pidfile.resolve(), pidfile.read_text().strip())
        sys.exit(f"pid file {pidfile.resolve()} exists: already running as pid {pidfile.read_text().strip()}?")
    pidfile.write_text(f"{os.getpid()}\n")
hung = threading.Event()
held = []


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while hung.is_set():
            time.sleep(1)
        body = json.dumps({"pid": os.getpid(), "held": len(held)}).encode()
        self.send_response(200 if len(held) == 0 else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def stop(*_):
    log.info("received SIGTERM, stopping as asked")
    pidfile.unlink(missing_ok=True)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
try:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", settings["port"]), Answer)
except OSError:
    log.exception("cannot listen on port %d", settings["port"])
    raise
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
log.info("ready on port %d", settings["port"])


def asked_for(name):
    try:
        (run / name).unlink()
        return True
    except FileNotFoundError:
        return False


beat = 0
while True:
    if asked_for("segfault"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if asked_for("raise"):
        raise ValueError("invoice 4711 has no customer")
    if asked_for("hang"):
        hung.set()
    if asked_for("leak"):
        held.append(open(os.devnull))
    if held:
        try:
            for _ in range(500):
                held.append(open(os.devnull))
        except OSError as error:
            print(f"OSError: {error}", file=sys.stderr, flush=True)
            try:
                log.error("cannot open the ledger: %s", error)
            except OSError:
                pass
    if settings.get("busy"):
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            sum(range(1000))
    if not hung.is_set() and not settings.get("idle"):
        beat += 1
        if beat % 5 == 0:
            log.info("filed %d papers", beat)
    time.sleep(0.2)
