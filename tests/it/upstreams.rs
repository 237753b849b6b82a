//! Upstreams that fail: what becomes of their requests.
//!
//! The upstreams are real HTTP servers that follow a script, since no real model can be told to die in
//! the middle of an answer, to lie, or to be slow. All other tests of the proxy's work on texts use its
//! embedded models.

use std::sync::Arc;

use echo_policy::FeatureSchema;
use echo_reward::Scorer;
use echo_sim::learning::Fold;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::client::{Next, joined};
use crate::patience::eventually;
use crate::records;
use crate::server::{Home, Server};
use crate::upstream::{Asked, Reply, Step, Upstream, arm, dead_url};

/// Stands in keys of upstreams, and must come out nowhere.
pub(crate) const CANARY: &str = "canary-9c07-upstream-key";

pub(crate) fn request(model: &str) -> Value {
    json!({"model": model, "prompt": "def area(r):\n    return ", "suffix": "\nprint(area(2))\n"})
}

/// A server whose only arm, named `arm`, is an upstream with this script.
pub(crate) async fn single(
    more: &str,
    script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Home, Upstream, Server) {
    let upstream = Upstream::start(script).await;
    let home = Home::new();
    let server = home
        .configured(&upstream.arm("arm", more))
        .args(["--log-level", "debug"])
        .env("THE_KEY", CANARY)
        .start()
        .await;
    (home, upstream, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_refusal_has_its_own_status() {
    let refusal = |status: u16, headers: &[(&'static str, &'static str)]| {
        let said = format!("no, {CANARY} at http://backend.internal:8000/v1");
        let body = json!({"error": {"message": said}}).to_string();
        let headers = [
            &[("content-type", "application/json"), ("set-cookie", CANARY)],
            headers,
        ]
        .concat();
        Reply::Whole(status, headers, body)
    };
    let (home, upstream, server) = single(
        "breaker_failures = 100\nkey_env = \"THE_KEY\"",
        move |asked| match asked.body["prompt"].as_str().unwrap() {
            "401" => refusal(401, &[]),
            "403" => refusal(403, &[]),
            "404" => refusal(404, &[]),
            "400" => refusal(400, &[]),
            "429" => refusal(429, &[("retry-after", "7")]),
            "500" => refusal(500, &[]),
            "503" => refusal(503, &[]),
            "302" => refusal(302, &[("location", "/elsewhere")]),
            "html" => Reply::Whole(
                200,
                vec![("content-type", "text/html")],
                format!("<html>{CANARY}</html>"),
            ),
            "garbage" => Reply::events(vec![Step::Send(format!("{CANARY}\n\n"))]),
            "no JSON" => Reply::events(vec![Step::Send(format!("data: {CANARY}\n\n"))]),
            "other JSON" => Reply::events(vec![Step::event(&json!({"hello": CANARY}))]),
            "reported" => Reply::events(vec![Step::event(&json!({"error": {"message": CANARY}}))]),
            "nothing" => Reply::events(Vec::new()),
            other => panic!("no such case: {other}"),
        },
    )
    .await;
    let client = server.client();
    let cases = [
        ("401", 502, "upstream_auth"),
        ("403", 502, "upstream_auth"),
        ("404", 502, "upstream_status"),
        ("400", 400, "upstream_refused"),
        ("500", 502, "upstream_status"),
        ("503", 503, "upstream_status"),
        ("302", 502, "upstream_status"),
        ("html", 502, "upstream_protocol"),
        ("garbage", 502, "upstream_protocol"),
        ("no JSON", 502, "upstream_protocol"),
        ("other JSON", 502, "upstream_protocol"),
        ("reported", 502, "upstream_reported"),
        ("nothing", 502, "stream_interrupted"),
        // Last, since it makes the arm be left alone.
        ("429", 429, "upstream_rate_limit"),
    ];
    for (case, status, code) in cases {
        let answer = client.ask(&json!({"model": "arm", "prompt": case})).await;
        assert_eq!(answer.error(status)["code"], code, "{case}");
        let shown = format!("{answer:?}");
        for secret in [CANARY, "backend.internal", &upstream.url("")[7..]] {
            assert!(!shown.contains(secret), "{case}: {shown}");
        }
        let retry_after = answer
            .headers
            .get("retry-after")
            .map(|value| value.to_str().unwrap());
        assert_eq!(
            retry_after,
            (case == "429").then_some("7"),
            "{case}: {answer:?}"
        );
    }
    let refused = client.ask(&json!({"model": "arm", "prompt": "429"})).await;
    assert_eq!(refused.error(503)["code"], "upstream_circuit_open");
    assert!(
        refused
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds >= 7),
        "{refused:?}"
    );
    assert_eq!(
        upstream.asked().len(),
        cases.len(),
        "no redirect is followed, nothing is tried twice"
    );
    assert!(!server.stop().await.contains(CANARY));
    drop(home);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_too_slow_is_given_up() {
    let deadlines = "first_byte_ms = 100\nidle_ms = 100\ntotal_ms = 1000\nbreaker_failures = 100";
    let (home, upstream, server) = single(deadlines, |asked| match asked.body["prompt"].as_str() {
        Some("silent") => Reply::Never,
        _ => Reply::events(vec![Step::piece("a"), Step::Hang]),
    })
    .await;
    let client = server.client();
    let silent = client
        .ask(&json!({"model": "arm", "prompt": "silent"}))
        .await;
    assert_eq!(silent.error(504)["code"], "upstream_timeout");
    let halting = client
        .ask(&json!({"model": "arm", "prompt": "halting"}))
        .await;
    assert_eq!(halting.error(504)["code"], "upstream_timeout");
    let stream = client
        .stream(&json!({"model": "arm", "prompt": "halting"}))
        .await;
    assert_eq!(stream.status, 200);
    broke_off(stream.rest().await, "a");
    eventually("the upstream is told", async || {
        (upstream.left() == 3).then_some(())
    })
    .await;
    server.stop().await;
    let entries = records::entries(&home.data());
    let endings: Vec<_> = records::served(&entries)
        .map(|served| served.ending.as_str())
        .collect();
    assert_eq!(endings, ["error", "truncated", "truncated"]);
}

/// A stream that began with `text` and then broke off in a way that no client takes for its end.
#[track_caller]
fn broke_off((mut events, ending): (Vec<Value>, Vec<Next>), text: &str) {
    let error = events.pop().unwrap();
    assert_eq!(error["error"]["type"], "upstream_error", "{error}");
    assert_eq!(error["error"]["code"], "stream_interrupted", "{error}");
    assert_eq!(joined(&events, 0), text);
    assert_eq!(ending, [Next::Broken]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_in_the_middle_breaks_the_answer_off() {
    let deaths: [fn() -> Vec<Step>; 4] = [
        || vec![Step::BreakOff],
        Vec::new,
        || vec![Step::Send("data: {\"choi".to_owned())],
        || vec![Step::event(&json!({"error": {"message": CANARY}}))],
    ];
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let (home, upstream, server) = single("breaker_failures = 100", move |asked| {
        let death = asked.body["seed"].as_u64().unwrap();
        // Two pieces that are sure to arrive, and then death.
        let steps = vec![
            Step::piece("one "),
            Step::piece("two"),
            Step::Wait(Arc::clone(&held)),
        ];
        Reply::events(
            steps
                .into_iter()
                .chain(deaths[usize::try_from(death).unwrap()]())
                .collect(),
        )
    })
    .await;
    for death in 0..deaths.len() {
        let mut body = request("arm");
        body["seed"] = json!(death);
        let mut stream = server.client().stream(&body).await;
        assert_eq!((stream.status, stream.header("x-echo-logged")), (200, "1"));
        let begun = vec![stream.data().await, stream.data().await];
        assert_eq!(joined(&begun, 0), "one two");
        gate.add_permits(1);
        broke_off(stream.rest().await, "");
        gate.add_permits(1);
        let whole = server.client().ask(&body).await;
        let code = whole.error(502)["code"].clone();
        assert!(
            code == "stream_interrupted" || code == "upstream_reported",
            "{code}"
        );
    }
    assert_eq!(
        upstream.asked().len(),
        2 * deaths.len(),
        "nothing is asked again after the first byte"
    );
    assert!(!server.stop().await.contains(CANARY));
    let entries = records::entries(&home.data());
    assert_eq!(records::served(&entries).count(), 2 * deaths.len());
    for served in records::served(&entries) {
        let said = (served.ending.as_str(), served.text.as_str());
        assert_eq!(said, ("truncated", "one two"));
    }
    assert_eq!(
        records::evidence(&entries).count(),
        0,
        "nothing is concluded from it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_arm_answers_when_the_drawn_one_fails_before_its_first_byte() {
    let good = Upstream::saying("3.14 * r").await;
    let ill = Upstream::start(|_| Reply::refuses(429, "later")).await;
    let home = Home::new();
    let config = [
        "[policy]\nspec = \"fixed:dead=0.4,ill=0.4,good=0.2,floor=0.05\"\n[reward]\nquiet_ms = 1000\n[arm_defaults]\nbreaker_failures = 1000\nbreaker_open_ms = 1\n",
        &arm("dead", "openai", &dead_url().await, ""),
        &ill.arm("ill", ""),
        &good.arm("good", ""),
    ];
    let server = home.configured(&config.concat()).pace(100).start().await;
    let mut fallbacks = 0;
    // All 40 draws miss both bad arms with a probability below 0.3^40.
    for number in 0..40 {
        let client = server.client().user(&format!("u{number}"));
        let answer = client.complete(&request("echo")).await;
        assert_eq!(
            (answer.completion().as_str(), answer.header("x-echo-arm")),
            ("3.14 * r", "good@1")
        );
        let said = client
            .event(&json!({"decision_id": answer.decision(), "type": "accepted"}))
            .await;
        assert_eq!(said.status, 200, "{said:?}");
        fallbacks += usize::from(answer.header("x-echo-fallback") == "1");
    }
    assert!(fallbacks > 0);
    assert!(
        server
            .client()
            .metric("echo_fallbacks_total{arm=\"good@1\"}")
            .await
            >= 1.0
    );
    server.stop().await;
    let entries = records::entries(&home.data());
    let substitutes =
        records::served(&entries).filter(|served| served.fallback && served.arm == "good@1");
    assert_eq!(substitutes.count(), fallbacks);
    let mut fold = Fold::new(&FeatureSchema::default(), Scorer::Retained1, 1000);
    for entry in &entries {
        fold.entry(entry).unwrap();
    }
    let learned: Vec<_> = fold.learner().state().arms().map(str::to_owned).collect();
    let (dead, good) = (
        fold.learner().state().count("dead@1"),
        fold.learner().state().count("good@1"),
    );
    assert_eq!(
        (dead, good),
        (0, 40 - fallbacks as u64),
        "a substitute's answer teaches nothing: {learned:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_arm_left_the_server_says_so_and_recovers() {
    let well = Arc::new(Semaphore::new(0));
    let (_home, upstream, server) = single("breaker_failures = 2\nbreaker_open_ms = 300", {
        let well = Arc::clone(&well);
        move |_| {
            if well.available_permits() > 0 {
                Reply::says(["fine"])
            } else {
                Reply::refuses(500, "ill")
            }
        }
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        assert_eq!(
            client.ask(&request("echo")).await.error(502)["code"],
            "upstream_status"
        );
    }
    let routed = client.ask(&request("echo")).await;
    assert_eq!(routed.error(503)["code"], "no_arm_available");
    assert!(
        routed
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds >= 1)
    );
    let named = client.ask(&request("arm")).await;
    assert_eq!(named.error(503)["code"], "upstream_circuit_open");
    assert_eq!(
        upstream.asked().len(),
        2,
        "an arm that is left alone is not asked"
    );
    let health = client.health().await;
    assert_eq!(
        (&health["status"], &health["arms_available"]),
        (&json!("degraded"), &json!(0))
    );
    assert_eq!(client.get("/readyz").await.status, 503);
    well.add_permits(1);
    eventually("the arm is tried again", async || {
        (client.ask(&request("echo")).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(client.health().await["status"], "ok");
    assert_eq!(client.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arm_that_is_full_is_not_drawn() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let (_home, upstream, server) = single("concurrency = 1", move |_| {
        Reply::events(vec![
            Step::piece("a"),
            Step::Wait(Arc::clone(&held)),
            Step::end(),
        ])
    })
    .await;
    let client = server.client();
    let mut stream = client.stream(&request("echo")).await;
    assert_eq!(stream.data().await["choices"][0]["text"], "a");
    assert_eq!(
        client.ask(&request("echo")).await.error(503)["code"],
        "no_arm_available"
    );
    assert_eq!(
        client.ask(&request("arm")).await.error(503)["code"],
        "upstream_busy"
    );
    assert_eq!(upstream.asked().len(), 1);
    gate.add_permits(2);
    let (_, ending) = stream.rest().await;
    assert_eq!(ending, [Next::Done, Next::End]);
    eventually("the arm is free again", async || {
        (client.ask(&request("arm")).await.status == 200).then_some(())
    })
    .await;
}
