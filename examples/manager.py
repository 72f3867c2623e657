#!/usr/bin/env python3
"""A dyno manager on a page: runs one app's dynos as processes of this host.

    manager.py APP MAX PROGRAM [ARGUMENT...]

The app wakes, grows and sleeps as its settings say:

    meshctl app create shop --domain shop.example.com --wake --idle-timeout 30m --scale-wait 1s
    ./manager.py shop 4 /srv/shop/bin/web

PROGRAM finds its port in $PORT. It uses `meshctl` (or $MESHCTL), which knows the
sidecar by DYNOMESH_CONTROL_SOCKET. docs/managers.md says what each event means.
What this leaves out and dyno-manager does: health, back-off, limits on time.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

MESHCTL = os.environ.get("MESHCTL", "meshctl")
APP, MAX, COMMAND = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

lock = threading.RLock()
dynos = {}  # name: (process, instance), also of those that drain
draining = set()
stopping = False


def mesh(*words):
    done = subprocess.run([MESHCTL, *words], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"meshctl {' '.join(words)}: {done.stderr.strip()}", file=sys.stderr)
    return done


def start():
    name = next(n for n in (f"web.{i}" for i in range(1, MAX * 2 + 2)) if n not in dynos)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A group of its own: Ctrl-C is for the manager, which lets it finish first.
    process = subprocess.Popen(COMMAND, env={**os.environ, "PORT": str(port)}, process_group=0)
    instance = f"py-{process.pid}-{time.time_ns()}"
    dynos[name] = process, instance
    address = f"127.0.0.1:{port}"
    mesh("dyno", "add", APP, address, "--name", name, "--instance", instance, "--state", "starting", "--takeover")
    threading.Thread(target=care, args=(name, process, port), daemon=True).start()


def care(name, process, port):
    """Says when the dyno is up, and when it is gone."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            with lock:
                if name not in draining:
                    mesh("dyno", "state", APP, name, "up")
            break
        except OSError:
            time.sleep(0.02)
    process.wait()
    with lock:
        crashed = name not in draining
        if crashed:
            mesh("dyno", "state", APP, name, "crashed")  # H10 until then
    time.sleep(5 if crashed else 0)
    with lock:
        mesh("dyno", "remove", APP, name)
        dynos.pop(name)
        draining.discard(name)


def want(count):
    """So many dynos, those that drain not counted."""
    running = [name for name in dynos if name not in draining]
    for _ in range(len(running), min(count, MAX)):
        start()
    for name in running[count:]:
        draining.add(name)
        mesh("dyno", "drain", APP, name)


def hear(event):
    running = len(dynos) - len(draining)
    if "needDyno" in event:
        want(max(running, 1))
    elif "scale" in event:
        hint = event["scale"]
        wanted = hint.get("wanted", 1)
        want(max(running, wanted) if hint.get("waiting") else min(running, wanted))
    elif "idle" in event:
        want(0)
    elif "drained" in event:
        process, instance = dynos.get(event["drained"]["dyno"], (None, None))
        if instance == event["drained"]["instance"]:
            process.terminate()
    elif "missed" in event:
        print("events were missed: start me again", file=sys.stderr)
        watch.terminate()


def stop(*_):
    global stopping
    stopping = True
    with lock:
        want(0)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
watch = subprocess.Popen([MESHCTL, "watch", APP, "--json"], stdout=subprocess.PIPE, text=True, process_group=0)
print("watching", flush=True)


def listen():
    for line in watch.stdout:
        with lock:
            hear(json.loads(line))


threading.Thread(target=listen, daemon=True).start()
try:
    while not (stopping and not dynos) and watch.poll() is None:
        time.sleep(0.05)
finally:
    watch.terminate()
    for process, _ in list(dynos.values()):
        process.terminate()
