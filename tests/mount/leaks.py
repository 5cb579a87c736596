# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds values of the host's or of a neighbour's in what a container was shown, for leaks.t. The host,
a container "a" and its neighbour "b" are read in turns, three times over: what each was shown the
second time is compared with the first and the third time of both others. It is the neighbour's if it
lies between the two, and the host's if it is as large as the host's in any round, give or take a half,
for what goes up and down need not lie between; the host has so much of its own (leaks.t) that no
container's is that large. What is so in every round, and not 0, is told of unless LIST has it. Must
not know what the files mean.

usage: leaks.py answer SOCKET                  reads for who asks, in a container
       leaks.py collect DIR ROUND PATH...      keeps texts, of a directory's those of all below it, in
                                               DIR/ROUND.WHO.TIME; LEAKS_SOCKET.WHO answer
       leaks.py audit DIR LIST [FROM TO]       with these, as if TO had been shown, at the moment at
                                               which FROM was, FROM's files of /proc; also tells
                                               which numbers of these it took for TO's own
       leaks.py pass                           sends an open handle to whoever connects and names a file
       leaks.py receive PATH                   asks for one, and prints what it reads
"""
import array
import functools
import glob
import json
import os
import re
import socket
import sys
import time

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
CPUS = "sys/devices/system/cpu"
LOAD = "proc/loadavg"
TELLING = 100000  # a number from which on it is the host's wherever in its files it stands
TREES = ("quota/", "cpuset/")  # below LEAKS_MOUNT: the same files once more (SPEC 4)
WHO = ("host", "a", "b")
TIMES = 3
# How far off a number of the host's may be from readings, as a share of these, by how LIST says that it
# moves there; "any" is for what it does not say.
SLACK = {"any": 0.5, "round": 0.25, "steady": 0}
WAYS = ("round", "steady", "zero")
APART_S = 0.2  # two times; the daemon's view of the host is up to half as old


def in_any_tree(path):
    """The file as the host has it."""
    for tree in TREES:
        path = path.removeprefix(tree)
    return path


def values_of(path, text):
    """(line's name, column) -> what is there; columns from 1, 0 is the name."""
    values = {}
    for n, line in enumerate(text.splitlines()):
        words = [w for w in re.split(r"[\s=/,]+|(?<=\d)-(?=\d)", line) if w]
        if not words:
            continue
        if path.endswith("/swaps"):
            words = line.split()
        elif path.endswith("/diskstats") and len(words) > 3:
            words.insert(0, words.pop(2))
        elif path.endswith("/cpuinfo"):
            words = [line.split(":")[0].strip()] + (line.split(":", 1) + [""])[1].split()
        elif NUMBER.fullmatch(words[0]) or CPUS in path:
            words.insert(0, str(n))
        name = words[0].rstrip(":")
        # of lines with one name the first; of cpuinfo all say the same but for their numbers
        for column, word in enumerate([name] + words[1:]):
            values.setdefault((name, column), word)
    if path.endswith("/cpuinfo"):
        values["lines", 1] = str(len(text.splitlines()))
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
    columns, _, below = columns.partition("<")
    if below and not (NUMBER.fullmatch(word) and float(word) < float(below)):
        return False
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


@functools.cache
def way_of(entries, path, name, column):
    """How LIST says that the host's numbers there move."""
    return next((way for file, line, columns, way in entries if way in WAYS
                 and file.fullmatch(path) and line.fullmatch(name) and in_columns(columns, column, "1")), "any")


def is_zero(word):
    return bool(NUMBER.fullmatch(word)) and float(word) == 0


def is_near(number, readings, slack):
    """Between the least and the largest or not farther off than that."""
    if not readings or not all(map(NUMBER.fullmatch, readings)):
        return False
    numbers = [float(r) for r in readings]
    return min(numbers) * (1 - slack) <= float(number) <= max(numbers) * (1 + slack)


def standing(readings):
    """Large numbers that somebody's files had both before and after, and their sizes in pages and in
    bytes. (Of slabinfo's many numbers one would be anybody's by chance.)"""
    numbers = [{int(w) for path, values in texts.items() if not path.endswith("proc/slabinfo")
                for w in values.values() if w.isdigit() and int(w) >= TELLING} for texts in readings]
    sizes = [int(readings[0]["proc/meminfo"].get((name, 1), 0)) for name in ("MemTotal", "SwapTotal")]
    return set.intersection(*numbers) | {m for n in sizes if n for m in (n // 4, n * 1024)}


def same(path, values, round_of, all_of, numbers, way):
    """What of a file is somebody else's: a word that theirs has, a number as at its place in theirs of
    this round, or of all, or one of theirs that stands still."""
    words = {word for theirs in round_of for word in theirs.values()}
    for key, word in values.items():
        if not NUMBER.fullmatch(word):
            if word in words:
                yield key, word
        elif not is_zero(word):
            moves = way(path, *key)
            readings = [theirs[key] for theirs in (all_of if moves == "any" else round_of) if key in theirs]
            if moves == "zero" or word.isdigit() and int(word) in numbers \
                    or len(readings) > 1 and is_near(word, readings, SLACK[moves]):
                yield key, word


def suspects(shown, readings, all_readings, in_place, way):
    """(file, line and column) -> what of all that was shown is in somebody's readings of the round, or
    of all rounds; in_place: what a file is called there."""
    numbers = standing(readings)
    return {(path, key): word for path, values in shown.items()
            for key, word in same(in_any_tree(path), values, [r.get(in_place(path), {}) for r in readings],
                                  [r.get(in_place(path), {}) for r in all_readings], numbers, way)}


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


def in_every(rounds):
    return set.intersection(*(set(r) for r in rounds))


def numbers_of(shown):
    return {(path, key): word for path, values in shown.items() for key, word in values.items()
            if NUMBER.fullmatch(word) and not is_zero(word)}


def unlisted(entries, used, places, rounds, whose):
    """Lines of what LIST has in no round: what it passes as too little may have been so in one."""
    for path, (name, column) in sorted(places):
        words = [r[path, (name, column)] for r in rounds]
        if not [w for w in words if is_listed(entries, used, in_any_tree(path), name, column, w, whose)]:
            yield f"{path}: {name}, column {column}", words[0]


def audit(top, list_path, shown):
    rounds = read_rounds(top, shown)
    entries, used, compared = tuple(read_list(list_path)), set(), 0
    ways = {"host": functools.partial(way_of, entries), "neighbour": lambda *_: "steady"}
    for who, other in ("a", "b"), ("b", "a"):
        for whose, at, in_place in ("host", "host", in_any_tree), ("neighbour", other, str):
            around = [(r[at][0], r[at][-1]) for r in rounds]
            found = [suspects(r[who][1], two, sum(around, ()), in_place, ways[whose])
                     for r, two in zip(rounds, around)]
            for place, word in unlisted(entries, used, in_every(found), found, whose):
                print(f"{who}: {place}: the {whose}'s {word}")
            if shown == [at, who]:
                numbers = [numbers_of(r[who][1]) for r in rounds]
                for place, word in unlisted(entries, used, in_every(numbers) - in_every(found), numbers, whose):
                    print(f"{who}: {place}: blind to the {whose}'s {word}")
        compared += sum(len(values) for r in rounds for values in r[who][1].values())
    print(f"compared {compared}", file=sys.stderr)
    for i, (file, line, _, whose) in enumerate(entries):
        if i not in used and whose not in WAYS:
            print(f"not needed here: {file.pattern} {line.pattern}", file=sys.stderr)


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


def collect(top, number, paths):
    # What passes through does not move: once is enough for it, and the three times are closer.
    still = {who: ask(who, [p for p in paths if CPUS in p]) for who in WHO}
    kept = {(who, t): dict(still[who]) for who in WHO for t in range(1, TIMES + 1)}
    moving = [p for p in paths if CPUS not in p]
    # Averages by themselves: all the rest takes a slow machine longer than the 5 s from one change of
    # theirs to the next, and of three values with two changes the second need not be between the others.
    for batch in [p for p in moving if p.endswith(LOAD)], [p for p in moving if not p.endswith(LOAD)]:
        for t in range(1, TIMES + 1):
            time.sleep(APART_S)
            for who in WHO:
                kept[who, t] |= ask(who, batch)
    for (who, t), texts in kept.items():
        with open(os.path.join(top, f"{number}.{who}.{t}"), "w") as f:
            json.dump(texts, f)


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
    collect(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    audit(sys.argv[2], sys.argv[3], sys.argv[4:])
