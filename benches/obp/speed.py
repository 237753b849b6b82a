"""The time that Open Bandit Pipeline takes for estimates and their bootstrap intervals.

Called by the bench program `beside-obp` with the number of rows. Prints one JSON object of seconds. The log is made
before the clock starts: 10 arms, a logging policy that is drawn for each row, a target that prefers one arm, and predicted
rewards.
"""

import json
import sys
import time

import stubs  # noqa: F401
import numpy as np
import obp
from obp.ope.estimators import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

ROWS, ARMS = int(sys.argv[1]), 10
random = np.random.default_rng(1)
logged = random.dirichlet(np.ones(ARMS), ROWS) * 0.8 + 0.02
action = (logged.cumsum(axis=1) > random.random((ROWS, 1))).argmax(axis=1)
reward = (random.random(ROWS) < 0.2 + 0.05 * action).astype(float)
log = {
    "reward": reward,
    "action": action,
    "pscore": logged[np.arange(ROWS), action],
    "action_dist": np.tile(np.where(np.arange(ARMS) == 3, 0.55, 0.05), (ROWS, 1))[:, :, None],
    "position": np.zeros(ROWS, dtype=int),
}
predictions = np.tile(0.2 + 0.05 * np.arange(ARMS), (ROWS, 1))[:, :, None]


def seconds(work):
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


ips, snips, dr = InverseProbabilityWeighting(), SelfNormalizedInverseProbabilityWeighting(), DoublyRobust()
with_predictions = {**log, "estimated_rewards_by_reg_model": predictions}
told = {
    "version": obp.version.__version__,
    "numpy": np.__version__,
    "ips": seconds(lambda: ips.estimate_policy_value(**log)),
    "snips": seconds(lambda: snips.estimate_policy_value(**log)),
    "dr": seconds(lambda: dr.estimate_policy_value(**with_predictions)),
}
start = time.perf_counter()
dr.estimate_interval(**with_predictions, n_bootstrap_samples=1_000, random_state=1)
told["dr_bootstrap"] = time.perf_counter() - start
print(json.dumps(told))
