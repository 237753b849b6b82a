//! How each kind of upstream is asked, and its answer read.

use serde_json::{Value, json};

use crate::server::Home;
use crate::upstream::{Asked, Reply, Step, Upstream, arm};
use crate::upstreams::CANARY;

/// Says the same in the way of each kind.
fn answer(asked: &Asked) -> Reply {
    match asked.path.as_str() {
        "/infill" => Reply::events(vec![
            Step::event(&json!({"content": "3.14 * ", "stop": false})),
            Step::event(&json!({"content": "r", "stop": false})),
            Step::event(&json!({
                "content": "", "stop": true, "stop_type": "eos", "tokens_predicted": 5, "tokens_evaluated": 9,
            })),
        ]),
        "/api/generate" => {
            let first = json!({"model": "m", "response": "3.14 * ", "done": false});
            let last = json!({
                "model": "m", "response": "r", "done": true, "done_reason": "stop", "eval_count": 5, "prompt_eval_count": 9,
            });
            let lines = [first, last].map(|line| Step::Send(format!("{line}\n")));
            Reply::Steps("application/x-ndjson", lines.into())
        }
        _ => Reply::says(["3.14 * ", "r"]),
    }
}

const PREFIX: &str = "def area(r):\n    return ";
const SUFFIX: &str = "\nprint(area(2))\n";

/// Each arm with the path that it is asked at, whether it has a key, and the body that it gets; the stops
/// of the one with a template are looked at apart.
fn expected() -> [(&'static str, &'static str, bool, Value); 4] {
    let rendered = format!("<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>");
    let stop = json!(["\n\n"]);
    let plain = json!({
        "model": "m-plain", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 20, "stream": false, "stop": stop, "temperature": 0.5,
    });
    let rendered = json!({
        "model": "m-rendered", "prompt": rendered, "max_tokens": 7, "stream": false, "stop": null, "temperature": 0.5,
    });
    let llama = json!({
        "model": "m-llama", "input_prefix": "def area(r):\n", "prompt": "    return ", "input_suffix": SUFFIX,
        "n_predict": 20, "stream": false, "cache_prompt": true, "stop": stop, "temperature": 0.5,
    });
    let ollama = json!({
        "model": "m-ollama", "prompt": PREFIX, "suffix": SUFFIX, "stream": false,
        "options": {"num_predict": 20, "stop": stop, "temperature": 0.5},
    });
    [
        ("plain", "/v1/completions", true, plain),
        ("rendered", "/v1/completions", false, rendered),
        ("llama", "/infill", false, llama),
        ("ollama", "/api/generate", true, ollama),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_asked_in_its_own_way() {
    let upstream = Upstream::start(answer).await;
    let home = Home::new();
    let key = home.path().join("key");
    std::fs::write(&key, format!("{CANARY}\n")).unwrap();
    let key_file = format!("key_file = \"{}\"", key.display());
    let config = [
        upstream.arm("plain", &key_file),
        upstream.arm("rendered", "template = \"qwen\"\nmax_tokens = 7"),
        arm("llama", "llama-cpp", &upstream.url(""), ""),
        arm(
            "ollama",
            "ollama",
            &upstream.url(""),
            "key_env = \"THE_KEY\"",
        ),
    ];
    let server = home
        .configured(&config.concat())
        .env("THE_KEY", CANARY)
        .start()
        .await;
    let client = server.client().with("x-api-key", "the client's");
    for (number, (name, path, has_key, expected)) in expected().into_iter().enumerate() {
        let body = json!({
            "model": name, "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 20, "stop": ["\n\n"], "temperature": 0.5, "user": "ada",
        });
        let answer = client.complete(&body).await;
        assert_eq!(answer.completion(), "3.14 * r", "{name}");
        let ending = &answer.json()["choices"][0]["finish_reason"];
        assert_eq!(ending, "stop", "{name}");
        let mut asked = upstream.asked().remove(number);
        assert_eq!(asked.path, path, "{name}");
        if name == "rendered" {
            // The template's own stops fill the room that the client's leave.
            let stops = asked.body["stop"].take();
            assert_eq!(
                (&stops[0], stops.as_array().map(Vec::len)),
                (&json!("\n\n"), Some(4))
            );
        }
        assert_eq!(asked.body, expected, "{name}");
        let key = asked
            .headers
            .get("authorization")
            .map(|value| value.to_str().unwrap());
        assert_eq!(
            key,
            has_key.then(|| format!("Bearer {CANARY}")).as_deref(),
            "{name}"
        );
        assert!(
            !asked.headers.contains_key("x-api-key"),
            "a client's key goes no further"
        );
    }
    assert!(!server.stop().await.contains(CANARY));
}
