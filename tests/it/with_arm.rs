//! `replay --with-arm`: what a model would have earned that was never deployed.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{Finished, Home};
use crate::upstream::Upstream;

/// Sends requests of many users in rounds; in every second round they take what is right, and tell so.
async fn live(client: &Client, requests: usize) {
    for number in 0..requests {
        let user = format!("user {}", number % 30);
        let prompt = format!("for value in values[{number}] {{\n    ");
        let request = json!({"model": "echo", "prompt": prompt, "user": user});
        let answer = client.complete(&request).await;
        let is_right = answer.completion() == "total += value;" && number / 30 % 2 == 0;
        let kind = if is_right { "accepted" } else { "rejected" };
        let event = json!({"decision_id": answer.decision(), "type": kind});
        assert_eq!(client.event(&event).await.status, 200);
    }
}

async fn with_arm(home: &Home, more: &[&str]) -> Finished {
    let data = home.data();
    let replay = home
        .command("replay")
        .args([data.to_str().unwrap(), "--json"]);
    replay.args(more.iter().copied()).finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_was_never_deployed_is_worth_what_its_texts_were_worth() {
    let good = Upstream::saying("total += value;").await;
    let bad = Upstream::saying("unreachable!()").await;
    let arms = [good.arm("good", ""), bad.arm("bad", "")].concat();
    let home = Home::new();
    let config = format!("[policy]\nspec = \"fixed:good=1,bad=3,floor=0.01\"\n{arms}");
    let server = home.configured(&config).start().await;
    live(&server.client(), 400).await;
    server.stop().await;
    // Says the same as the better of the two, and was drawn for a quarter of the requests by that one.
    let same = Upstream::saying("total += value;").await;
    let (url, cache) = (same.url("/v1"), home.path().join("answers.jsonl"));
    let (config, cache) = (home.config(), cache.to_str().unwrap().to_owned());
    let asked = ["--with-arm", &url, "--with-cache", &cache];
    let known = [&asked[..], &["--with-logged", config.to_str().unwrap()]].concat();
    let told = with_arm(&home, &known).await;
    assert!(told.status.success(), "{told:?}");
    let found: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&found["asked"], &found["known"]), (&400.into(), &0.into()));
    assert_eq!(
        (&found["asked_again"], &found["said_again"]),
        (&400.into(), &400.into())
    );
    let estimate = &found["estimate"];
    assert_eq!(estimate["is_chance_known"], true, "{found}");
    let matched = &estimate["matched"];
    let (value, error) = (
        matched["value"].as_f64().unwrap(),
        matched["standard_error"].as_f64().unwrap(),
    );
    // In 210 of the 400 requests it is right. Five deviations: by chance once in a million.
    assert!(
        (value - 0.525).abs() < 5.0 * error && error < 0.1,
        "{matched}"
    );
    assert!(
        estimate["logged"]["value"].as_f64().unwrap() < 0.3,
        "{estimate}"
    );
    // What was said once is not asked again, even if nobody answers any more.
    drop(same);
    let again = with_arm(&home, &known).await;
    let again: Value = serde_json::from_str(&again.stdout).unwrap_or_else(|_| panic!("{again:?}"));
    assert_eq!((&again["asked"], &again["known"]), (&0.into(), &400.into()));
    assert_eq!(again["estimate"], found["estimate"]);
    // Nothing is known of one that was never reached, and of one whose texts nobody was shown next to nothing.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = with_arm(&home, &["--with-arm", &format!("http://{free}/v1")]).await;
    assert!(
        nobody.complaint().contains("fails again and again"),
        "{nobody:?}"
    );
    let other = Upstream::saying("panic!()").await;
    let other = with_arm(
        &home,
        &["--with-arm", &other.url("/v1"), "--with-cache", "/dev/null"],
    )
    .await;
    let found: Value = serde_json::from_str(&other.stdout).unwrap_or_else(|_| panic!("{other:?}"));
    assert_eq!(found["estimate"]["robust"], Value::Null);
    assert!(
        found["notes"].to_string().contains("shown too seldom"),
        "{found}"
    );
}
