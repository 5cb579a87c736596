# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds values of the host's or of a neighbour's in what a container was shown, for leaks.t. What was
read lies in DIR/ROUND.WHO, WHO being host1 (read before the containers), a, b and host2 (after them).
Whatever is the same in every round, and not 0, is told of unless LIST has it. Must not know what the
files mean.

usage: leaks.py collect TO ROOT FILE...        keeps the texts of files, and of all below ROOT's CPUs
       leaks.py audit DIR LIST [FROM TO]       with these, as if TO had been shown FROM's files of /proc
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

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
CPUS = "sys/devices/system/cpu"
TELLING = 100000  # a number from which on it is the host's wherever in its files it stands
SMALL = 256  # a number below which two containers have the same by chance


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
        elif NUMBER.fullmatch(words[0]) or path.startswith("sys/"):
            words.insert(0, str(n))
        name = words[0].rstrip(":")
        # of lines with one name the first; of cpuinfo all say the same but for their numbers
        for column, word in enumerate(words[1:], 1):
            values.setdefault((name, column), word)
    return values


def read_tree(path):
    with open(path) as f:
        return {file: values_of(file, text) for file, text in json.load(f).items()}


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


def standing(trees):
    """Large numbers that the host's files had both before and after, and its sizes in pages and in
    bytes. (Of slabinfo's many numbers one would be anybody's by chance.)"""
    numbers = [{int(w) for path, values in tree.items() if path != "proc/slabinfo"
                for w in values.values() if w.isdigit() and int(w) >= TELLING} for tree in trees]
    sizes = [int(trees[0]["proc/meminfo"].get((name, 1), 0)) for name in ("MemTotal", "SwapTotal")]
    return set.intersection(*numbers) | {m for n in sizes if n for m in (n // 4, n * 1024)}


def same_as_host(values, trees, path, numbers):
    """What of a file is the host's at its place, or is a number of its that stands still."""
    one, other = (tree.get(path, {}) for tree in trees)
    for key, word in values.items():
        if is_zero(word):
            continue
        if key in one and key in other and between(word, one[key], other[key]):
            yield key, word
        elif word.isdigit() and int(word) in numbers:
            yield key, word


def same_as_neighbour(values, others):
    for key, word in values.items():
        small = NUMBER.fullmatch(word) and float(word) < SMALL
        if others.get(key) == word and not small:
            yield key, word


def read_rounds(top, shown):
    rounds = []
    for first in sorted(glob.glob(os.path.join(top, "*.host1"))):
        of = {who: read_tree(first[:-len("host1")] + who) for who in ("host1", "a", "b", "host2")}
        if shown:
            of[shown[1]].update({p: v for p, v in of[shown[0]].items() if p.startswith("proc/")})
        rounds.append(of)
    return rounds


def audit(top, list_path, shown):
    rounds = read_rounds(top, shown)
    entries, used, compared = read_list(list_path), set(), 0
    for who, other in ("a", "b"), ("b", "a"):
        suspects = []
        for r in rounds:
            host, found = (r["host1"], r["host2"]), {}
            numbers = standing(host)
            for path, values in r[who].items():
                compared += len(values)
                for key, word in same_as_host(values, host, path, numbers):
                    found[path, key, "host"] = word
                for key, word in same_as_neighbour(values, r[other].get(path, {})):
                    found[path, key, "neighbour"] = word
            suspects.append(found)
        for path, key, whose in sorted(set.intersection(*(set(s) for s in suspects))):
            word = suspects[0][path, key, whose]
            if not is_listed(entries, used, path, key[0], key[1], word, whose):
                print(f"{who}: {path}: {key[0]}, column {key[1]}: the {whose}'s {word}")
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


def collect(to, root, files):
    for where, _, names in os.walk(os.path.join(root, CPUS)):
        files += [os.path.relpath(os.path.join(where, name), root) for name in names]
    texts = {file: read(os.path.join(root, file)) for file in files}
    with open(to, "w") as f:
        json.dump({file: text for file, text in texts.items() if text is not None}, f)


# ---- handles over a socket ------------------------------------------------------------------------

ADDRESS = os.environ.get("LEAKS_SOCKET", "")


def give():
    server = socket.socket(socket.AF_UNIX)
    server.bind(ADDRESS)
    server.listen()
    while True:
        client, _ = server.accept()
        fd = os.open(client.recv(4096).decode(), os.O_RDONLY)
        client.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)
        client.close()


def receive(path):
    """The text and "==", and after a line of standard input the same handle from its start."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(ADDRESS)
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
elif sys.argv[1] == "collect":
    collect(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    audit(sys.argv[2], sys.argv[3], sys.argv[4:])
