"""An editor made of tabby-agent, the program inside Tabby's plugins: it types, takes, changes, ignores and undoes what it
is proposed, lets the agent tell what a plugin tells, and prints what truly became of each proposal."""

import json
import os
import subprocess
import sys
import time

PREFIX = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\ndef sub(a, b):"
WORKSPACE = "/workspace"
SUFFIX = "\n\n\nif __name__ == \"__main__\":\n    main()\n"


class Agent:
    """tabby-agent as a process of its own, which takes and gives one JSON list a line."""

    def __init__(self, command, address):
        environment = dict(os.environ, TABBY_DISABLE_USAGE_COLLECTION="1")
        self.process = subprocess.Popen(
            ["node", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.asked = 0
        config = {"server": {"endpoint": address}, "anonymousUsageTracking": {"disable": True}}
        assert self.ask("initialize", {"config": config})

    def ask(self, function, *arguments):
        self.asked += 1
        print(json.dumps([self.asked, {"func": function, "args": arguments}]), file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            number, answer = json.loads(line)
            if number == self.asked:
                return answer
        raise AssertionError(f"the agent ended at {function}")

    def propose(self, file, text):
        """Asks for what follows `text` in a file; returns the proposal and the completion's id."""
        answer = self.ask(
            "provideCompletions",
            {
                "filepath": f"{WORKSPACE}/{file}",
                "workspace": WORKSPACE,
                "language": "python",
                "text": text + SUFFIX,
                "position": len(text),
                "manually": True,
            },
        )
        # No person is as fast as a program.
        time.sleep(0.6)
        choices = answer["choices"]
        return choices[0]["text"] if choices else "", answer["id"]

    def tell(self, kind, completion, **more):
        event = {"type": kind, "completion_id": completion, "choice_index": 0, **more}
        assert self.ask("postEvent", event), event


def accepted(proposed):
    yield "select", PREFIX + proposed + "\n\n\n"


def refined(proposed):
    yield "select", PREFIX + proposed
    yield None, PREFIX + proposed.replace("result", "difference") + "\n"


def rejected(_):
    yield "dismiss", PREFIX + "\n    raise NotImplementedError\n"


def undone(proposed):
    yield "select", PREFIX + proposed
    yield None, PREFIX
    yield None, PREFIX + "\n    raise NotImplementedError\n"


agent = Agent(sys.argv[2], sys.argv[1])
for act in (accepted, refined, rejected, undone):
    file = f"{act.__name__}.py"
    proposed, completion = agent.propose(file, PREFIX)
    agent.tell("view", completion)
    for told, text in act(proposed):
        if told:
            agent.tell(told, completion)
        agent.propose(file, text)
    print(completion.removeprefix("cmpl-"), act.__name__)
agent.process.terminate()
agent.process.wait(10)
