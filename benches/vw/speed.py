"""Vowpal Wabbit's decisions and learning steps a second, on contexts that are read from a file.

Called by the bench program `beside-vw`. Prints one JSON object: microseconds a decision and a learning step,
examples parsed beforehand, so that no text is read while the clock runs.
"""

import json
import sys
import time

import vowpalwabbit

contexts, arguments = sys.argv[1], sys.argv[2]
with open(contexts) as file:
    rows = json.load(file)
arms = rows["arms"]
vw = vowpalwabbit.Workspace(f"--cb_explore_adf {arguments} --quiet")


def lines(row, label):
    shared = "shared |x " + " ".join(f"{place}:{value}" for place, value in enumerate(row["x"]) if value)
    actions = []
    for arm in range(arms):
        head = f"0:{label[1]}:{label[2]} " if label and label[0] == arm else ""
        actions.append(f"{head}|a arm={arm}")
    return [shared, *actions]


def parsed(label):
    return [vw.parse("\n".join(lines(row, row["label"] if label else None))) for row in rows["rows"]]


warm = parsed(True)
for example in warm:
    vw.learn(example)
    vw.finish_example(example)

examples = parsed(False)
start = time.perf_counter()
for example in examples:
    vw.predict(example)
decide = (time.perf_counter() - start) / len(examples)
for example in examples:
    vw.finish_example(example)

examples = parsed(True)
start = time.perf_counter()
for example in examples:
    vw.learn(example)
learn = (time.perf_counter() - start) / len(examples)
for example in examples:
    vw.finish_example(example)

print(json.dumps({"version": vowpalwabbit.__version__, "decide_us": decide * 1e6, "learn_us": learn * 1e6}))
