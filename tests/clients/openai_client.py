"""The openai package against a running server: streaming and not, and its errors.

    python openai_client.py http://127.0.0.1:4141/v1
"""

import asyncio
import sys

import openai

BASE_URL = sys.argv[1]
PLACE = {
    "prompt": "/// The total of some values.\npub fn total_of_all(values: &[u32]) -> u32 {\n    let mut total = 0;\n"
    "    for value in values {\n        total += value;\n    }\n    total\n}\n\n"
    "/// The total of some values.\npub fn total_of_most(values: &[u32]) -> u32 {\n    let mut total = 0;\n",
    "suffix": "\n}\n",
    "max_tokens": 32,
}


def plain(client):
    whole = client.completions.with_raw_response.create(model="echo", user="plain", **PLACE)
    assert whole.headers["x-echo-logged"] == "1", dict(whole.headers)
    completion = whole.parse()
    assert completion.id.startswith("cmpl-") and completion.object == "text_completion"
    assert completion.choices[0].finish_reason in ("stop", "length"), completion
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, completion
    several = client.completions.create(model="echo", n=2, stop=["\n"], **PLACE)
    assert [choice.index for choice in several.choices] == [0, 1], several
    assert all("\n" not in choice.text for choice in several.choices), several
    return completion


def streamed(client, model):
    options = {"include_usage": True}
    text, reasons, usage = "", [], None
    with client.completions.create(model=model, user="streamed", stream=True, stream_options=options, **PLACE) as events:
        for event in events:
            usage = event.usage or usage
            for choice in event.choices:
                text += choice.text
                reasons.append(choice.finish_reason)
    assert [reason for reason in reasons if reason] == reasons[-1:], reasons
    assert usage.total_tokens > 0
    return text


async def at_once():
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key="any") as client:
        asked = [client.completions.create(model="echo", user=f"u{n}", **PLACE) for n in range(8)]
        return await asyncio.gather(*asked)


def errors(client):
    try:
        client.completions.create(model="nobody", prompt="x")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and error.param == "model", error
    else:
        raise AssertionError("an unknown model was served")
    try:
        client.completions.create(model="echo", prompt="x", temperature=9)
    except openai.BadRequestError as error:
        assert error.param == "temperature" and error.type == "invalid_request_error", error
    else:
        raise AssertionError("a temperature of 9 was served")


def main():
    client = openai.OpenAI(base_url=BASE_URL, api_key="any", max_retries=0)
    models = [model.id for model in client.models.list()]
    assert models[0] == "echo" and len(models) >= 4, models
    assert client.models.retrieve(models[1]).id == models[1]
    completion = plain(client)
    texts = {name: streamed(client, name) for name in models}
    assert any(texts.values()), "no model has anything to say"
    answers = asyncio.run(at_once())
    assert len({answer.id for answer in answers}) == len(answers)
    errors(client)
    print(f"openai {openai.__version__}: {len(models)} models, answered by {completion.model}; {texts}")


main()
