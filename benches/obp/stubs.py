"""Empty modules for what obp imports and does not need here: torch, plots."""

import sys
import types


class Stub(types.ModuleType):
    """A module of which every name is an empty class."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return sys.modules.get(f"{self.__name__}.{name}") or type(name, (), {})


torch = ["torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data"]
for name in [*torch, "matplotlib", "matplotlib.pyplot", "seaborn", "pyieoe", "pyieoe.evaluator"]:
    sys.modules[name] = Stub(name)
