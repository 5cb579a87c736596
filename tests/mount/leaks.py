# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds values of the host's or of a neighbour's in what a container was shown, for leaks.t. The host,
a container "a" and its neighbour "b" are read in turns, three times over: what each was shown the
second time is compared with the first and the third time of both others, so that a value of theirs
lies between the two, however it moves. What is so in every round, and not 0, is told of unless LIST
has it. Must not know what the files mean.

usage: leaks.py answer SOCKET                  reads for who asks, in a container
       leaks.py collect DIR ROUNDS PATH...     keeps texts, of a directory's those of all below it, in
                                               DIR/ROUND.WHO.TIME; LEAKS_SOCKET.WHO answer
       leaks.py audit DIR LIST [FROM TO]       with these, as if TO had been shown, at the moment at
                                               which FROM was, FROM's files of /proc
       leaks.py pass                           sends an open handle to whoever connects and names a file
       leaks.py receive PATH                   asks for one, and prints what it reads
"""
import array
import glob
import json
import os
import re
import socket
import sys
import time

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
CPUS = "sys/devices/system/cpu"
TELLING = 100000  # a number from which on it is the host's wherever in its files it stands
TREES = ("quota/", "cpuset/")  # below LEAKS_MOUNT: the same files once more (SPEC 4)
WHO = ("host", "a", "b")
TIMES = 3
APART_S = 0.2  # two times; the daemon's view of the host is up to half as old


def in_any_tree(path):
    """The file as the host has it."""
    for tree in TREES:
        path = path.removeprefix(tree)
    return path


def values_of(path, text):
    """(line's name, column) -> what is there; columns from 1."""
    values = {}
    for n, line in enumerate(text.splitlines()):
        words = [w for w in re.split(r"[\s=/,()]+|(?<=\d)-(?=\d)", line) if w]
        if not words:
            continue
        if path.endswith("/diskstats") and len(words) > 3:
            words.insert(0, words.pop(2))
        elif path.endswith("/cpuinfo"):
            words = [line.split(":")[0].strip()] + (line.split(":", 1) + [""])[1].split()
        elif NUMBER.fullmatch(words[0]) or CPUS in path:
            words.insert(0, str(n))
        name = words[0].rstrip(":")
        # of lines with one name the first; of cpuinfo all say the same but for their numbers
        for column, word in enumerate(words[1:], 1):
            values.setdefault((name, column), word)
    return values


def read_texts(path, proc_only):
    with open(path) as f:
        return {file: values_of(file, text) for file, text in json.load(f).items()
                if not (proc_only and CPUS in file)}


def read_list(path):
    entries = []
    for line in open(path):
        if line.startswith("#") or not line.strip():
            continue
        file, name, columns, whose, _ = line.rstrip("\n").split("\t")
        entries.append((re.compile(file), re.compile(name), columns, whose))
    return entries


def in_columns(columns, column, word):
    if columns in ("words", "numbers"):
        return (columns == "numbers") == bool(NUMBER.fullmatch(word))
    first, _, last = columns.partition("-")
    return int(first) <= column <= int(last or first)


def is_listed(entries, used, path, name, column, word, whose):
    for i, (file, line, columns, who) in enumerate(entries):
        if who in (whose, "both") and file.fullmatch(path) and line.fullmatch(name) \
                and in_columns(columns, column, word):
            used.add(i)
            return True
    return False


def is_zero(word):
    return bool(NUMBER.fullmatch(word)) and float(word) == 0


def between(word, one, other):
    """Or the same word."""
    if word in (one, other):
        return True
    if not (NUMBER.fullmatch(word) and NUMBER.fullmatch(one) and NUMBER.fullmatch(other)):
        return False
    return min(float(one), float(other)) <= float(word) <= max(float(one), float(other))


def standing(readings):
    """Large numbers that somebody's files had both before and after, and their sizes in pages and in
    bytes. (Of slabinfo's many numbers one would be anybody's by chance.)"""
    numbers = [{int(w) for path, values in texts.items() if not path.endswith("proc/slabinfo")
                for w in values.values() if w.isdigit() and int(w) >= TELLING} for texts in readings]
    sizes = [int(readings[0]["proc/meminfo"].get((name, 1), 0)) for name in ("MemTotal", "SwapTotal")]
    return set.intersection(*numbers) | {m for n in sizes if n for m in (n // 4, n * 1024)}


def same(values, one, other, numbers):
    """What of a file is somebody else's at its place, or is a number of theirs that stands still."""
    for key, word in values.items():
        if is_zero(word):
            continue
        if key in one and key in other and between(word, one[key], other[key]):
            yield key, word
        elif word.isdigit() and int(word) in numbers:
            yield key, word


def suspects(shown, readings, in_place):
    """(file, line and column) -> what of all that was shown is in somebody's readings; in_place: what
    a file is called there."""
    before, after = readings[0], readings[-1]
    numbers = standing((before, after))
    return {(path, key): word for path, values in shown.items()
            for key, word in same(values, before.get(in_place(path), {}), after.get(in_place(path), {}), numbers)}


def read_rounds(top, shown):
    rounds = []
    for first in sorted(glob.glob(os.path.join(top, "*.host.1"))):
        name = first[:-len("host.1")]
        of = {who: [read_texts(f"{name}{who}.{n + 1}", shown) for n in range(TIMES)] for who in WHO}
        if shown:
            source, to = shown
            in_place = in_any_tree if source == "host" else str
            of[to][1] = {path: of[source][1].get(in_place(path), {}) for path in of[to][1]}
        rounds.append(of)
    return rounds


def audit(top, list_path, shown):
    rounds = read_rounds(top, shown)
    entries, used, compared = read_list(list_path), set(), 0
    for who, other in ("a", "b"), ("b", "a"):
        for whose, at, in_place in ("host", "host", in_any_tree), ("neighbour", other, str):
            found = [suspects(r[who][1], r[at], in_place) for r in rounds]
            for path, key in sorted(set.intersection(*(set(f) for f in found))):
                word = found[0][path, key]
                if not is_listed(entries, used, in_any_tree(path), key[0], key[1], word, whose):
                    print(f"{who}: {path}: {key[0]}, column {key[1]}: the {whose}'s {word}")
        compared += sum(len(values) for r in rounds for values in r[who][1].values())
    print(f"compared {compared}", file=sys.stderr)
    for i in set(range(len(entries))) - used:
        print(f"not needed here: {entries[i][0].pattern} {entries[i][1].pattern}", file=sys.stderr)


# ---- reading ---------------------------------------------------------------------------------------


def read(path):
    """None: some of the kernel's own cannot be read."""
    try:
        with open(path, "rb", buffering=0) as f:
            return b"".join(iter(lambda: f.read(65536), b"")).decode(errors="replace")
    except OSError:
        return None


def read_all(paths):
    """path -> text, also of all files below a directory."""
    below = [os.path.join(where, name) for path in paths for where, _, names in os.walk(path) for name in names]
    texts = {path: read(path) for path in [p for p in paths if not os.path.isdir(p)] + below}
    return {path: text for path, text in texts.items() if text is not None}


ADDRESS = os.environ.get("LEAKS_SOCKET", "")
MOUNT = os.environ.get("LEAKS_MOUNT", "")


def listen(address):
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    while True:
        yield server.accept()[0]


def connect(address):
    client = socket.socket(socket.AF_UNIX)
    client.connect(address)
    return client


def answer(address):
    for client in listen(address):
        with client, client.makefile("rw") as f:
            json.dump(read_all(json.loads(f.readline())), f)


def ask(who, paths):
    """What they are shown of files below "/" or in one of the trees."""
    if who == "host":
        texts = read_all(sorted({"/" + in_any_tree(path) for path in paths}))
    else:
        with connect(f"{ADDRESS}.{who}") as client, client.makefile("rw") as f:
            places = [os.path.join(MOUNT if path.startswith(TREES) else "/", path) for path in paths]
            f.write(json.dumps(places) + "\n")
            f.flush()
            texts = json.loads(f.read())
    return {place.removeprefix(MOUNT).lstrip("/"): text for place, text in texts.items()}


def collect(top, rounds, paths):
    for n in range(1, rounds + 1):
        # What passes through does not move: once is enough for it, and the three times are closer.
        still = {who: ask(who, [p for p in paths if CPUS in p]) for who in WHO}
        kept = {}
        for t in range(1, TIMES + 1):
            time.sleep(APART_S)
            for who in WHO:
                kept[who, t] = still[who] | ask(who, [p for p in paths if CPUS not in p])
        for (who, t), texts in kept.items():
            with open(os.path.join(top, f"{n}.{who}.{t}"), "w") as f:
                json.dump(texts, f)
        time.sleep(1)


# ---- handles over a socket ------------------------------------------------------------------------

def give():
    for client in listen(ADDRESS):
        fd = os.open(client.recv(4096).decode(), os.O_RDONLY)
        client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)
        client.close()


def receive(path):
    """The text and "==", and after a line of standard input the same handle from its start."""
    client = connect(ADDRESS)
    client.send(path.encode())
    _, controls, _, _ = client.recvmsg(1, socket.CMSG_SPACE(4))
    fd = array.array("i", controls[0][2])[0]
    while True:
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            while text := os.read(fd, 65536):
                sys.stdout.buffer.write(text)
        except OSError as e:
            print(os.strerror(e.errno))
        print("==", flush=True)
        if not sys.stdin.readline():
            break


if sys.argv[1] == "pass":
    give()
elif sys.argv[1] == "receive":
    receive(sys.argv[2])
elif sys.argv[1] == "answer":
    answer(sys.argv[2])
elif sys.argv[1] == "collect":
    collect(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
else:
    audit(sys.argv[2], sys.argv[3], sys.argv[4:])
