//! Serving: plain and streamed completions, the fields of `OpenAI`, the pages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::client::{Answer, Client, Next, joined, known_place};
use crate::records;
use crate::server::{Home, Server};
use crate::upstream::{Reply, Step, Upstream};

async fn embedded() -> (Home, Server) {
    let home = Home::new();
    let server = home.embedded().start().await;
    (home, server)
}

/// The names that `GET /v1/models` lists, without those that stand for another of them.
async fn models(client: &Client) -> Vec<String> {
    let list = client.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap().iter();
    let names = models
        .filter(|model| model["root"] == model["id"])
        .map(|model| {
            assert_eq!(
                (&model["object"], model["created"].is_i64()),
                (&json!("model"), true),
                "{model}"
            );
            model["id"].as_str().unwrap().to_owned()
        });
    names.collect()
}

/// An embedded arm that has something to say at the known place, and what it says.
async fn talkative(client: &Client) -> (String, Answer) {
    for name in models(client).await.into_iter().skip(1) {
        let answer = client
            .user(&format!("probing-{name}"))
            .complete(&known_place(&name))
            .await;
        if answer.json()["usage"]["completion_tokens"]
            .as_u64()
            .unwrap()
            > 3
        {
            return (name, answer);
        }
    }
    panic!(
        "no embedded model has more than three tokens to say at a place that its corpus repeats"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_answer_has_every_field() {
    let (_home, server) = embedded().await;
    let answer = server.client().complete(&known_place("echo")).await;
    let body = answer.json();
    let id = answer.decision();
    assert_eq!(body["id"], format!("cmpl-{id}"));
    assert_eq!(answer.header("x-request-id"), id);
    assert_eq!(body["object"], "text_completion");
    assert!(
        body["created"]
            .as_i64()
            .is_some_and(|seconds| seconds > 1_700_000_000),
        "{body}"
    );
    let arm = answer.header("x-echo-arm");
    assert_eq!(
        body["model"].as_str(),
        arm.strip_suffix("@1"),
        "{body} {arm}"
    );
    let choices = body["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 1);
    let choice = choices[0].as_object().unwrap();
    assert_eq!(
        choice.keys().collect::<Vec<_>>(),
        ["finish_reason", "index", "logprobs", "text"]
    );
    assert_eq!(
        (&choice["index"], &choice["logprobs"]),
        (&json!(0), &Value::Null)
    );
    assert!(["stop", "length"].contains(&choice["finish_reason"].as_str().unwrap()));
    let usage = |name: &str| body["usage"][name].as_u64().unwrap();
    assert!(usage("prompt_tokens") > 0);
    assert_eq!(
        usage("total_tokens"),
        usage("prompt_tokens") + usage("completion_tokens")
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-echo-logged"), "1");
    assert_eq!(answer.header("x-echo-fallback"), "0");
    assert!(answer.header("x-echo-policy").parse::<u64>().is_ok());
    let short = server
        .client()
        .post("/completions", &known_place("echo"))
        .await;
    assert_eq!(short.status, 200, "the path without /v1 is there too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_says_the_same_and_ends_with_done() {
    let (_home, server) = embedded().await;
    let (name, plain) = talkative(&server.client()).await;
    let mut body = known_place(&name);
    body["stream_options"] = json!({"include_usage": true});
    let stream = server.client().user("another").stream(&body).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    let id = format!("cmpl-{}", stream.header("x-echo-decision"));
    let (mut events, ending) = stream.rest().await;
    assert_eq!(ending, [Next::Done, Next::End]);
    let usage = events.pop().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(
        usage["usage"]["completion_tokens"],
        plain.json()["usage"]["completion_tokens"]
    );
    assert_eq!(joined(&events, 0), plain.completion());
    for event in &events {
        assert_eq!(
            (&event["id"], &event["object"]),
            (&json!(id), &json!("text_completion"))
        );
        assert_eq!(
            (&event["model"], event["created"].is_i64()),
            (&json!(name), true)
        );
    }
    let reasons: Vec<&Value> = events
        .iter()
        .map(|event| &event["choices"][0]["finish_reason"])
        .collect();
    let (last, before) = reasons.split_last().unwrap();
    assert_eq!(**last, plain.json()["choices"][0]["finish_reason"]);
    assert!(before.iter().all(|reason| reason.is_null()), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept() {
    let (_home, server) = embedded().await;
    let client = server.client();
    let (name, whole) = talkative(&client).await;
    let ask = async |user: &str, key: &str, value: Value| {
        let mut body = known_place(&name);
        body[key] = value;
        client.user(user).complete(&body).await
    };
    let three = ask("a", "max_tokens", json!(3)).await;
    assert!(
        three.json()["usage"]["completion_tokens"]
            .as_u64()
            .is_some_and(|tokens| (1..=3).contains(&tokens)),
        "{three:?}"
    );
    assert_eq!(three.json()["choices"][0]["finish_reason"], "length");
    assert!(
        whole.completion().starts_with(&three.completion())
            && three.completion() != whole.completion()
    );

    let stop = whole
        .completion()
        .trim()
        .chars()
        .next_back()
        .unwrap()
        .to_string();
    let stopped = ask("b", "stop", json!([stop])).await;
    assert!(!stopped.completion().contains(&stop), "{stopped:?}");
    assert!(whole.completion().starts_with(&stopped.completion()));
    assert_eq!(stopped.json()["choices"][0]["finish_reason"], "stop");

    let several = ask("c", "n", json!(3)).await.json();
    let indices: Vec<&Value> = several["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| &choice["index"])
        .collect();
    assert_eq!(indices, [0, 1, 2]);

    let none = ask("d", "max_tokens", json!(0)).await;
    assert_eq!(
        none.completion(),
        "",
        "no tokens at all is how editors warm a server up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_taken_by_its_name_and_echo_is_routed() {
    let (home, server) = embedded().await;
    let client = server.client();
    let names = models(&client).await;
    assert_eq!(names[0], "echo");
    assert!(
        names.len() >= 4,
        "three arms at least, to route between: {names:?}"
    );
    for name in &names[1..] {
        let answer = client.complete(&known_place(name)).await;
        assert_eq!(answer.header("x-echo-arm"), format!("{name}@1"));
        assert_eq!(answer.json()["model"], *name);
    }
    client.complete(&known_place("echo")).await;
    let latest = client.complete(&known_place("echo")).await;
    server.stop().await;
    let entries = records::entries(&home.data());
    let mut decisions: Vec<_> = records::decisions(&entries).collect();
    let newest = decisions.pop().unwrap();
    assert_eq!(
        latest.header("x-echo-policy"),
        newest.policy_version.to_string()
    );
    assert_eq!(
        latest.header("x-echo-arm"),
        newest.arms[newest.chosen as usize]
    );
    let (routed, by_name) = decisions.split_last().unwrap();
    assert!(routed.routed && routed.arms.len() == names.len() - 1);
    assert!((routed.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(
        routed
            .probabilities
            .iter()
            .all(|probability| *probability > 0.0)
    );
    for decision in by_name {
        assert!(
            !decision.routed && decision.probabilities == [1.0],
            "{decision:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_file_and_template_are_read() {
    let (home, server) = embedded().await;
    let prompt =
        "<|fim_prefix|>def area(r):\n    return <|fim_suffix|>\n\nprint(area(2))\n<|fim_middle|>";
    let body = json!({"model": "echo", "prompt": prompt, "user": "ada"});
    server
        .client()
        .with("x-echo-file", "src/area.py")
        .complete(&body)
        .await;
    server
        .client()
        .user("grace")
        .with("x-echo-language", "Python")
        .complete(&body)
        .await;
    server.stop().await;
    let entries = records::entries(&home.data());
    let decisions: Vec<_> = records::decisions(&entries).collect();
    for decision in &decisions {
        assert_eq!(
            decision.prefix.as_deref(),
            Some("def area(r):\n    return ")
        );
        assert_eq!(decision.suffix.as_deref(), Some("\n\nprint(area(2))\n"));
        assert_eq!(decision.language.as_deref(), Some("python"));
        assert_eq!(decision.tenant, "local");
    }
    assert_eq!(
        (decisions[0].user.as_str(), decisions[0].file.as_deref()),
        ("ada", Some("src/area.py"))
    );
    assert_eq!(decisions[1].user, "grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_answer() {
    let (_home, server) = embedded().await;
    let client = server.client();
    client.complete(&known_place("echo")).await;
    let health = client.health().await;
    assert_eq!(
        (&health["status"], &health["log"]),
        (&json!("ok"), &json!("writable")),
        "{health}"
    );
    assert_eq!(client.get("/readyz").await.status, 200);
    for name in models(&client).await {
        assert_eq!(
            client.get(&format!("/v1/models/{name}")).await.json()["id"],
            name
        );
    }
    assert_eq!(
        client.get("/v1/models/nobody").await.error(404)["code"],
        "model_not_found"
    );
    let metrics = client.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text"),
        "{metrics:?}"
    );
    assert!(metrics.text().ends_with("# EOF\n"));
    assert_eq!(client.metric("echo_in_flight").await, 0.0);
    assert!(client.metric("echo_requests_total{status=\"200\"}").await >= 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_by_which_clients_choose_a_template_are_routed() {
    let upstream = Upstream::saying("fine").await;
    let home = Home::new();
    let arms = upstream.arm("my-codellama", "") + &upstream.arm("other", "");
    let server = home.configured(&arms).start().await;
    let client = server.client();
    let list = client.get("/v1/models").await.json();
    let names = list["data"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "echo",
            "my-codellama",
            "other",
            "echo-qwen2.5-coder",
            "codestral-latest"
        ]
    );
    let others = [
        "echo-qwen2.5-coder",
        "codestral-latest",
        "bigcode/starcoder2-3b",
    ];
    for name in others.into_iter().chain(["my-codellama", "echo"]) {
        client
            .complete(&json!({"model": name, "prompt": "x"}))
            .await;
    }
    server.stop().await;
    let entries = records::entries(&home.data());
    let routed: Vec<_> = records::decisions(&entries)
        .map(|decision| (decision.model.as_str(), decision.routed))
        .collect();
    let echo = ("echo", true);
    assert_eq!(routed, [echo, echo, echo, ("my-codellama", false), echo]);
}

/// The upstream sends the next piece only after the one before has come out at the client: anything
/// that holds a piece back waits for ever.
#[tokio::test(flavor = "multi_thread")]
async fn every_piece_comes_out_by_itself() {
    let gate = Arc::new(Semaphore::new(0));
    let upstream = ping_pong(Arc::clone(&gate)).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("slow", "")).start().await;
    let direct = Client::new(upstream.url("")[7..].parse().unwrap());
    // Through both in turn, so that a busy moment strikes both.
    let (mut straight, mut proxied) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        straight.extend(times(&direct, &gate).await);
        proxied.extend(times(&server.client(), &gate).await);
    }
    let (straight, proxied) = (median(straight), median(proxied));
    println!("a piece takes {straight:?} straight and {proxied:?} through the proxy");
    // A piece that waits for a delayed acknowledgement takes 40 ms, which is hundreds of times longer.
    assert!(
        proxied < straight * 40,
        "{straight:?} straight, {proxied:?} through the proxy"
    );
}

const PIECES: usize = 40;

async fn ping_pong(gate: Arc<Semaphore>) -> Upstream {
    Upstream::start(move |_| {
        let piece = |_| [Step::piece("x"), Step::Wait(Arc::clone(&gate))];
        let mut steps: Vec<Step> = (0..PIECES).flat_map(piece).collect();
        steps.push(Step::end());
        Reply::events(steps)
    })
    .await
}

/// How long each piece takes, from the permission to send it to its arrival.
async fn times(client: &Client, gate: &Semaphore) -> Vec<Duration> {
    let mut stream = client
        .stream(&json!({"model": "slow", "prompt": "x"}))
        .await;
    assert_eq!(stream.data().await["choices"][0]["text"], "x");
    let mut times = Vec::new();
    for _ in 1..PIECES {
        let sent = Instant::now();
        gate.add_permits(1);
        assert_eq!(stream.data().await["choices"][0]["text"], "x");
        times.push(sent.elapsed());
    }
    gate.add_permits(1);
    let (_, ending) = stream.rest().await;
    assert_eq!(ending, [Next::Done, Next::End]);
    times
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
