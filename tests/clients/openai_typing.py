"""An editor made of the openai package: it types, takes, changes, ignores and undoes what it is proposed, tells
nobody, and prints what truly became of each proposal."""

import sys
import time

from openai import OpenAI

PREFIX = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\ndef sub(a, b):"
SUFFIX = "\n\n\nif __name__ == \"__main__\":\n    main()\n"

client = OpenAI(base_url=sys.argv[1], api_key="any")


def ask(user, text):
    """Asks for what follows `text`; returns the proposal and the decision's id."""
    answer = client.completions.create(model="echo", prompt=text, suffix=SUFFIX, max_tokens=64, user=user)
    # No person is as fast as a program.
    time.sleep(0.4)
    return answer.choices[0].text, answer.id.removeprefix("cmpl-")


def accepted(proposed):
    yield PREFIX + proposed + "\n\n\n"


def refined(proposed):
    yield PREFIX + proposed
    yield PREFIX + proposed.replace("result", "difference") + "\n"


def rejected(_):
    yield PREFIX + "\n    raise NotImplementedError\n"


def typed_through(proposed):
    for end in range(6, len(proposed) + 1, 6):
        yield PREFIX + proposed[:end]
    yield PREFIX + proposed + "\n\n"


def undone(proposed):
    yield PREFIX + proposed
    yield PREFIX
    yield PREFIX + "\n    raise NotImplementedError\n"


def partial(proposed):
    first = proposed.lstrip("\n").split("\n")[0]
    yield PREFIX + "\n" + first + "\n    print(a, b, \"are not taken from each other\")\n"


for act in (accepted, refined, rejected, typed_through, undone, partial):
    user = act.__name__
    proposed, decision = ask(user, PREFIX)
    for text in act(proposed):
        ask(user, text)
    print(decision, user)
