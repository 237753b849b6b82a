#!/usr/bin/env python3
"""Reference values for the off-policy estimators, by their definitions in exact sums.

    python3 ope_reference.py LOG.csv STEP

takes every STEP-th row of LOG.csv (columns as in ope_slice.csv), writes them to ope_slice.csv and the
estimates of four target policies to ope_expected.json. With one argument it prints the estimates of
the whole file and writes nothing. Standard library only; sums by math.fsum.
"""
import csv
import json
import math
import sys

ARMS = 9
Z = 1.959963984540054


def load(path, step):
    with open(path) as file:
        rows = list(csv.DictReader(file))
    return rows[::step]


def columns(row, name):
    return [float(row[f"{name}_{k}"]) for k in range(ARMS)]


def policies(row):
    greedy = int(row["greedy_arm"])
    yield "softmax0.05", columns(row, "pe")
    yield "eps_greedy0.1", [0.1 / ARMS + (0.9 if k == greedy else 0.0) for k in range(ARMS)]
    yield "uniform", [1.0 / ARMS] * ARMS
    yield "always_3", [1.0 if k == 3 else 0.0 for k in range(ARMS)]


def mean(values):
    return math.fsum(values) / len(values)


def interval(value, terms):
    centre = mean(terms)
    variance = math.fsum((t - centre) ** 2 for t in terms) / (len(terms) - 1)
    half = Z * math.sqrt(variance / len(terms))
    return {"value": value, "ci95": [value - half, value + half]}


def estimates(rewards, weights, expected, predicted):
    ips = [w * r for w, r in zip(weights, rewards)]
    snips = math.fsum(ips) / math.fsum(weights)
    influence = [w * (r - snips) / mean(weights) for w, r in zip(weights, rewards)]
    dr = [e + w * (r - q) for e, w, r, q in zip(expected, weights, rewards, predicted)]
    squares = math.fsum(w * w for w in weights)
    return {
        "weights": {
            "mean": mean(weights),
            "max": max(weights),
            "ess": math.fsum(weights) ** 2 / squares,
        },
        "estimates": {
            "ipw": interval(mean(ips), ips),
            "snipw": interval(snips, influence),
            "dr": interval(mean(dr), dr),
        },
    }


def evaluate(rows):
    columns_of = {}
    for row in rows:
        action = int(row["action"])
        logged, q = columns(row, "pb"), columns(row, "q")
        for name, target in policies(row):
            rewards, weights, expected, predicted = columns_of.setdefault(name, ([], [], [], []))
            rewards.append(float(row["reward"]))
            weights.append(target[action] / logged[action])
            expected.append(math.fsum(p * v for p, v in zip(target, q)))
            predicted.append(q[action])
    return {
        "n": len(rows),
        "K": ARMS,
        "policies": {name: estimates(*parts) for name, parts in columns_of.items()},
    }


def main():
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rows = load(sys.argv[1], step)
    result = json.dumps(evaluate(rows), indent=1)
    if len(sys.argv) == 2:
        print(result)
        return
    with open("ope_expected.json", "w") as file:
        file.write(result + "\n")
    with open("ope_slice.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


main()
