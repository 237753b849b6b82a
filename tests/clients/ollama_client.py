"""The ollama package against a running server: streaming and not, its pages, and its errors.

    python ollama_client.py http://127.0.0.1:4141
"""

import importlib.metadata
import sys

import ollama

PREFIX = (
    "/// The total of some values.\npub fn total_of_all(values: &[u32]) -> u32 {\n    let mut total = 0;\n"
    "    for value in values {\n        total += value;\n    }\n    total\n}\n\n"
    "/// The total of some values.\npub fn total_of_most(values: &[u32]) -> u32 {\n    let mut total = 0;\n"
)
SUFFIX = "\n}\n"
RENDERED = f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>"
OPTIONS = {"num_predict": 32, "temperature": 0.1, "stop": ["\n\n\n"]}


def user(name):
    """A client of a user of his own: what one user shows is no help to another."""
    return ollama.Client(host=sys.argv[1], headers={"X-Echo-User": name})


def pages(client):
    models = [model.model for model in client.list().models]
    assert models[0] == "echo:latest" and len(models) >= 4, models
    shown = client.show("echo")
    assert ".Suffix" in shown.template and "insert" in shown.capabilities, shown
    assert client.ps().models == []
    return models


def plain(model):
    whole = user(f"plain-{model}").generate(model=model, prompt=PREFIX, suffix=SUFFIX, options=OPTIONS)
    assert whole.done and whole.done_reason in ("stop", "length"), whole
    assert whole.prompt_eval_count > 0 and whole.total_duration > 0, whole
    rendered = user(f"rendered-{model}").generate(model=model, prompt=RENDERED, raw=True, options=OPTIONS)
    assert rendered.response == whole.response, (rendered, whole)
    return whole.response


def streamed(model):
    client = user(f"streamed-{model}")
    parts = list(client.generate(model=model, prompt=PREFIX, suffix=SUFFIX, stream=True, options=OPTIONS))
    *before, last = parts
    assert last.done and last.response == "", parts
    assert not any(part.done for part in before), parts
    return "".join(part.response for part in parts)


def errors(client):
    try:
        client.generate(model="nobody", prompt="x")
    except ollama.ResponseError as error:
        assert error.status_code == 404 and "nobody" in error.error and "{" not in error.error, error
    else:
        raise AssertionError("an unknown model was served")
    try:
        list(client.generate(model="echo", prompt="x", stream=True, options={"temperature": 9}))
    except ollama.ResponseError as error:
        assert error.status_code == 400 and "temperature" in error.error, error
    else:
        raise AssertionError("a temperature of 9 was served")


def main():
    client = user("first")
    models = pages(client)
    assert client.generate(model="echo").done_reason == "load"
    texts = {model: plain(model) for model in models[1:4]}
    assert any(texts.values()), "no model has anything to say"
    for model, text in texts.items():
        assert streamed(model) == text, model
    errors(client)
    print(f"ollama {importlib.metadata.version('ollama')}: {len(models)} models; {texts}")


main()
