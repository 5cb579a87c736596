# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plays the service manager for manager.sh: a notify socket, a store of descriptors, and a start with
what is in it. Commands come on standard input, one a line, each answered by one line. Every message
is appended to the log, its lines joined by blanks. Must not know what a descriptor is good for.

usage: manager.py SOCKET LOG DAEMON-LOG COMMAND...
  start [NAME=VALUE | +ARGUMENT]...  the command, with the store and these in its environment: its pid
  stop SIGNAL       ends it, and waits: its exit status
  names             what is in the store
  drop [NAME]       one, or all of it
  file NAME PATH    puts an open file into the store in that one's place
  memory NAME       the same with a memfd that holds nothing
"""
import array
import os
import signal
import socket
import sys
import threading

path, log_path, daemon_log, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
store = {}
lock = threading.Lock()
seen = threading.Event()
child = 0

sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(path)
log = open(log_path, "a", buffering=1)


def put(name, fd):
    if name in store:
        os.close(store[name])
    store[name] = fd


def take(name):
    if name in store:
        os.close(store.pop(name))


def receive():
    data, control, _, _ = sock.recvmsg(4096, socket.CMSG_SPACE(4 * 64))
    lines = data.decode().splitlines()
    if lines == ["SEEN=1"]:
        seen.set()
        return
    fds = array.array("i")
    for level, kind, what in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(what)
    words = dict(line.split("=", 1) for line in lines)
    with lock:
        if words.get("FDSTORE") == "1":
            for fd in fds:
                put(words["FDNAME"], fd)
        else:
            for fd in fds:
                os.close(fd)
        if words.get("FDSTOREREMOVE") == "1":
            take(words["FDNAME"])
    log.write(" ".join(lines) + "\n")


def listen():
    while True:
        receive()


def start(words):
    global child
    variables = [w for w in words if not w.startswith("+")]
    arguments = [w[1:] for w in words if w.startswith("+")]
    with lock:
        # out of the way of 3, 4, 5...
        held = [(name, os.dup2(fd, 200 + i)) for i, (name, fd) in enumerate(store.items())]
        child = os.fork()
        if child:
            for _, fd in held:
                os.close(fd)
            return str(child)
    environment = dict(os.environ, NOTIFY_SOCKET=path)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    out = os.open(daemon_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for i, (_, fd) in enumerate(held):
        os.dup2(fd, 3 + i)
    os.closerange(3 + len(held), 1024)
    if held:
        environment.update(
            LISTEN_PID=str(os.getpid()),
            LISTEN_FDS=str(len(held)),
            LISTEN_FDNAMES=":".join(name for name, _ in held),
        )
    environment.update(v.split("=", 1) for v in variables)
    os.execve(command[0], command + arguments, environment)


def stop(words):
    os.kill(child, getattr(signal, words[0]))
    _, status = os.waitpid(child, 0)
    # A manager looks at messages first, and then at who has ended.
    seen.clear()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.sendto(b"SEEN=1", path)
    seen.wait()
    return str(os.waitstatus_to_exitcode(status))


def drop(words):
    with lock:
        for name in words or list(store):
            take(name)
    return "dropped"


def replace(name, fd):
    with lock:
        put(name, fd)
    return "replaced"


commands = {
    "start": start,
    "stop": stop,
    "names": lambda words: " ".join(sorted(store)) or "nothing",
    "drop": drop,
    "file": lambda words: replace(words[0], os.open(words[1], os.O_RDWR)),
    "memory": lambda words: replace(words[0], os.memfd_create("nothing")),
}

threading.Thread(target=listen, daemon=True).start()
for line in sys.stdin:
    name, *rest = line.split()
    print(commands[name](rest), flush=True)
