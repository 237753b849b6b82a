"""What Open Bandit Pipeline makes of the Open Bandit Data, and the predictions that it rests on.

Called by the bench program `beside-obp` with the folder of the data, that of Thompson sampling's probabilities, and one to
write to. For every campaign whose probabilities are there and both directions it fits obp's logistic regression (3 folds, a
model for each position), writes the log with the predictions for the row's position as CSV, and prints one JSON object with
the estimates.
"""

import json
import sys
import warnings
from pathlib import Path

import stubs  # noqa: F401
import numpy as np
import pandas as pd
from obp.dataset import OpenBanditDataset
from obp.ope import RegressionModel
from obp.ope.estimators import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SubGaussianDoublyRobust,
    SubGaussianInverseProbabilityWeighting,
    SwitchDoublyRobust,
)
from obp.ope.estimators_tuning import DoublyRobustWithShrinkageTuning, SwitchDoublyRobustTuning
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
data, policies, output = (Path(path) for path in sys.argv[1:4])
GRID = [10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, np.inf]
ESTIMATORS = {
    "ips": InverseProbabilityWeighting(),
    "snips": SelfNormalizedInverseProbabilityWeighting(),
    "dm": DirectMethod(),
    "dr": DoublyRobust(),
    "sndr": SelfNormalizedDoublyRobust(),
    "switch-dr(10)": SwitchDoublyRobust(lambda_=10.0),
    "dr-os(10)": DoublyRobustWithShrinkage(lambda_=10.0),
    "dr-os(100)": DoublyRobustWithShrinkage(lambda_=100.0),
    "sg-ips(0.1)": SubGaussianInverseProbabilityWeighting(lambda_=0.1),
    "sg-dr(0.1)": SubGaussianDoublyRobust(lambda_=0.1),
    "switch-dr-slope": SwitchDoublyRobustTuning(lambdas=GRID, tuning_method="slope"),
    "dr-os-slope": DoublyRobustWithShrinkageTuning(lambdas=GRID, tuning_method="slope"),
}
told = []
for table in sorted(policies.glob("bts_action_dist_*.csv")):
    campaign = table.stem.removeprefix("bts_action_dist_")
    thompson = pd.read_csv(table).set_index("item_id").sort_index().to_numpy()
    for logging, target in [("random", "bts"), ("bts", "uniform")]:
        log = OpenBanditDataset(behavior_policy=logging, campaign=campaign, data_path=data)
        log = log.obtain_batch_bandit_feedback()
        rounds, arms = log["n_rounds"], log["n_actions"]
        chosen = thompson if target == "bts" else np.full((arms, 3), 1.0 / arms)
        action_dist = np.tile(chosen, (rounds, 1, 1))
        model = RegressionModel(
            n_actions=arms,
            len_list=3,
            action_context=log["action_context"],
            base_model=LogisticRegression(max_iter=10000, C=100, random_state=12345),
        )
        predictions = model.fit_predict(
            context=log["context"],
            action=log["action"],
            reward=log["reward"],
            position=log["position"],
            pscore=log["pscore"],
            action_dist=action_dist,
            n_folds=3,
            random_state=12345,
        )
        asked = {key: log[key] for key in ["reward", "action", "pscore", "position"]}
        asked["action_dist"] = action_dist
        values = {}
        for name, estimator in ESTIMATORS.items():
            more = {} if name in ["ips", "snips", "sg-ips(0.1)"] else {"estimated_rewards_by_reg_model": predictions}
            values[name] = float(estimator.estimate_policy_value(**asked, **more))
        own = predictions[np.arange(rounds), :, log["position"]]
        rows = pd.DataFrame(own, columns=[f"q_{arm}" for arm in range(arms)])
        for key in ["action", "reward", "pscore", "position"]:
            rows[key] = log[key]
        rows.to_csv(output / f"{campaign}_{logging}.csv", index=False)
        told.append({"campaign": campaign, "logging": logging, "target": target, "arms": arms, "values": values})
print(json.dumps(told))
