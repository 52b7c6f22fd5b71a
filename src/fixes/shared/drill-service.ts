// A small service for drills: a web server in Python and the owner's control script for it. An ailment is a
// file that the process takes away when it starts: whoever is started after it is well again.

import type { DrillKit } from '../../testing/drill-kit.ts';

const PROGRAM = `
import http.server, os, pathlib, threading, time
port = int(pathlib.Path("port").read_text())
def ails(name):
    try: os.unlink(name); return True
    except FileNotFoundError: return False
state = {"held": []}
def leave_with_the_folder():
    while os.path.exists("port"): time.sleep(0.3)
    os._exit(0)
threading.Thread(target=leave_with_the_folder, daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        while state.get("hung"): time.sleep(1)
        self.send_response(500 if state.get("ill") else 200); self.end_headers()
if ails("hang"): state["hung"] = True
if ails("hold"): state["held"].append(open("data/big.log"))
if ails("leak"):
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
    try:
        while True: state["held"].append(open("/dev/null"))
    except OSError: del state["held"][-8:]; state["ill"] = True
if ails("multiply"):
    import resource
    for _ in range(55): threading.Thread(target=threading.Event().wait, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))
    state["ill"] = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
print("up", flush=True)
server.serve_forever()
`;

/** Asks the service and waits a second: a health probe that fails sooner than ours, for drills in a hurry. */
const QUESTION = `
import socket, sys
try:
    with socket.create_connection(("127.0.0.1", int(open("port").read())), 1) as ask:
        ask.settimeout(1); ask.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n"); ask.recv(1)
except OSError as error: sys.exit(str(error))
`;

/** `restart` ends what the pid file names and starts anew, in a session of its own. */
const CONTROL = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
pid=$(cat data/service.pid 2>/dev/null)
[ "$1" = restart ] || exit 2
[ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
setsid python3 -u service.py </dev/null >>data/out.log 2>&1 &
echo $! >data/service.pid
`;

/** A pid that no process has: beyond the highest the kernel gives out. */
export const NOBODY = 4_194_399;

export interface DrillService {
  readonly port: number;
  /** Starts it, as the owner would have, and notes its pid. */
  start(): Promise<{ readonly pid: number }>;
}

/** Writes the service into the drill's folder and declares it. It ends by itself when the folder is removed. */
export async function drillService(kit: DrillKit): Promise<DrillService> {
  const port = await kit.freePort();
  await kit.write('service.py', PROGRAM);
  await kit.write('ask.py', QUESTION);
  await kit.write('ctl', CONTROL, 0o755);
  await kit.write('port', String(port));
  await kit.write('data/service.pid', String(NOBODY));
  kit.service({
    health: { kind: 'http', url: `http://127.0.0.1:${port}/` },
    restart: { kind: 'command', argv: ['./ctl', 'restart'], cwd: kit.directory },
  });
  return {
    port,
    async start() {
      const started = await kit.start(['python3', '-u', 'service.py'], { ready: 'up' });
      await kit.write('data/service.pid', String(started.pid));
      return started;
    },
  };
}
