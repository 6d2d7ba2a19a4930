"""The strings that tokenizers are compared on. packages/tokenizers/test/strings.ts makes the same ones: a linear congruential generator picks
atoms from fixtures/pools.json, so neither the strings nor their tokens have to be stored."""

import json
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "packages/tokenizers/fixtures"
POOLS = json.loads((FIXTURES / "pools.json").read_text("utf-8"))


class Random:
    def __init__(self, seed):
        self.state = seed & 0xFFFFFFFF

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 8) * n >> 24


def strings(seed, count):
    r = Random(seed)
    return [make(r) for _ in range(count)]


def make(r):
    out = []
    for _ in range(1 + r.below(10)):
        kind = r.below(16)
        if kind < 5:
            atom = pick(r, POOLS["words"])
        elif kind < 7:
            atom = pick(r, POOLS["code"])
        elif kind < 9:
            atom = pick(r, POOLS["symbols"])
        elif kind < 11:
            a, b = pick(r, POOLS["ranges"])
            count = 1 + r.below(4)
            atom = "".join(chr(a + r.below(b - a + 1)) for _ in range(count))
        elif kind < 12:
            space = pick(r, POOLS["space"])
            atom = space * (1 + r.below(4))
        elif kind < 13:
            word, mark = pick(r, POOLS["words"]), pick(r, POOLS["combining"])
            atom = word + mark * (1 + r.below(2)) + pick(r, POOLS["words"])
        elif kind < 14:
            atom = pick(r, POOLS["special"])
        elif kind < 15:
            word = pick(r, POOLS["words"])
            atom = word.upper() if r.below(2) else str(r.below(1000000))
        else:
            word = pick(r, POOLS["words"])
            atom = word * (1 + r.below(30))
        out.append(atom)
        if r.below(3):
            out.append(" ")
    return "".join(out)


def pick(r, items):
    return items[r.below(len(items))]
