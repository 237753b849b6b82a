//! Learning: what users do with proposals, seen in their requests alone or told by events, moves the
//! traffic to the arms that are right.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::editor::{Editor, always_wrong, right_in};
use crate::patience::eventually;
use crate::records;
use crate::server::{Home, Server};
use crate::upstream::Upstream;

/// The outcomes that the log tells, by decision.
async fn outcomes(home: &Home) -> BTreeMap<String, Value> {
    let told = home
        .command("outcomes")
        .args(["--data-dir", home.data().to_str().unwrap(), "--json"])
        .args(["--scorer", "retained@1", "--scorer", "cursor@1"])
        .finish()
        .await;
    assert!(told.status.success(), "{told:?}");
    let lines = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| (line["decision_id"].as_str().unwrap().to_owned(), line))
        .collect()
}

/// A minute passes in less than a tenth of a second.
const PACE: u32 = 1000;

/// Draws differ from run to run, since they are keyed by the decisions' ids, which hold the time. The
/// test fails by chance only if the right arm is not drawn once in the first half. Both start alike; from the
/// first reward of the wrong one on, the right one, of which less is known and no worse is expected, is
/// drawn with 0.99, so that the chance is below 0.5 * 0.01^10 < 1e-20 once ten rewards are learned.
#[tokio::test(flavor = "multi_thread")]
async fn follow_up_requests_alone_teach_which_arm_is_right() {
    let (right, wrong) = (
        Upstream::start(right_in(None)).await,
        Upstream::start(always_wrong).await,
    );
    let home = Home::new();
    let config = format!(
        "[policy]\nsnapshot_s = 36000\n{}{}",
        wrong.arm("wrong", ""),
        right.arm("right", "")
    );
    let server = home.configured(&config).pace(PACE).start().await;
    let mut editor = Editor::new(&server.client(), "ada", "py");
    for _ in 0..300 {
        // Fifteen seconds of the server's time: a line takes nine, and who goes on sooner has perhaps read nothing.
        tokio::time::sleep(Duration::from_millis(15)).await;
        editor.step().await;
    }
    server.stop().await;
    let entries = records::entries(&home.data());
    let decisions: Vec<_> = records::decisions(&entries).collect();
    let probability = |decision: &echo_experience::Decision| {
        let place = decision
            .arms
            .iter()
            .position(|arm| arm == "right@1")
            .unwrap();
        decision.probabilities[place]
    };
    let (first, last) = (
        probability(decisions[0]),
        probability(decisions[decisions.len() - 1]),
    );
    println!("the right arm's probability went from {first:.3} to {last:.3}");
    assert_eq!(first, 0.5);
    assert!(last > 0.8, "{last}");
    let late = decisions[200..]
        .iter()
        .filter(|decision| decision.arms[decision.chosen as usize] == "right@1");
    assert!(late.count() > 70);
    assert_eq!(records::events(&entries).count(), 0, "nobody said a word");

    // Nobody has seen what became of the last proposal.
    let (last, seen) = decisions.split_last().unwrap();
    let told = outcomes(&home).await;
    assert_eq!(told[&last.id]["fate"], "censored");
    assert_eq!(
        told[&last.id]["rewards"],
        json!({"retained@1": null, "cursor@1": null})
    );
    for decision in seen {
        let (arm, taken) = &editor.done[&decision.id];
        let outcome = &told[&decision.id];
        assert_eq!(outcome["arm"], *arm);
        assert_eq!(
            outcome["fate"],
            if *taken { "accepted" } else { "rejected" },
            "{outcome}"
        );
        assert_eq!(
            (&outcome["settled"], &outcome["user"]),
            (&json!(true), &json!("ada")),
            "{outcome}"
        );
        let kept = outcome["kept_share"].as_f64().unwrap();
        assert!(if *taken { kept == 1.0 } else { kept < 0.5 }, "{outcome}");
        let worth = f64::from(u8::from(*taken));
        assert_eq!(
            outcome["rewards"],
            json!({"retained@1": worth, "cursor@1": worth}),
            "{outcome}"
        );
        assert!(
            outcome["evidence"]
                .as_array()
                .is_some_and(|evidence| !evidence.is_empty()),
            "{outcome}"
        );
    }
}

/// The proposals of an arm that always says the same.
struct Told {
    home: Home,
    server: Server,
    _upstream: Upstream,
}

const TEXT: &str = "total = price * count + shipping";

impl Told {
    async fn new(more: &str) -> Self {
        let upstream = Upstream::saying(TEXT).await;
        let home = Home::new();
        let server = home
            .configured(&format!("{more}{}", upstream.arm("arm", "")))
            .start()
            .await;
        Self {
            home,
            server,
            _upstream: upstream,
        }
    }

    async fn propose(&self, client: &Client) -> String {
        client
            .complete(&json!({"model": "echo", "prompt": "def bill():\n    "}))
            .await
            .decision()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_what_became_of_a_proposal() {
    let told = Told::new("").await;
    let client = told.server.client();
    let half = "total = price";
    let changed = "total = price * amount + shipping";
    let cases = [
        (json!({"type": "shown"}), "censored"),
        (json!({"type": "accepted"}), "accepted"),
        (
            json!({"type": "accepted", "accepted_length": TEXT.len()}),
            "accepted",
        ),
        (
            json!({"type": "partial", "accepted_length": half.len()}),
            "partial",
        ),
        (json!({"type": "partial", "text": half}), "partial"),
        (json!({"type": "rejected"}), "rejected"),
        (json!({"type": "edited", "text": changed}), "refined"),
        (json!({"type": "edited", "text": "pass"}), "undone"),
    ];
    let mut expected = BTreeMap::new();
    for (number, (mut event, fate)) in cases.into_iter().enumerate() {
        let id = told.propose(&client.user(&format!("u{number}"))).await;
        // An answer's own id will do as well.
        event["decision_id"] = json!(if number % 2 == 0 {
            id.clone()
        } else {
            format!("cmpl-{id}")
        });
        let answer = client.event(&event).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"recorded": true, "late": false})),
            "{event}"
        );
        expected.insert(id, (fate, event));
    }
    told.server.stop().await;
    let outcomes = outcomes(&told.home).await;
    for (id, (fate, event)) in &expected {
        assert_eq!(outcomes[id]["fate"], *fate, "{event}: {}", outcomes[id]);
    }
    let entries = records::entries(&told.home.data());
    assert_eq!(records::events(&entries).count(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_counts_once_and_a_later_one_revises_it() {
    let told = Told::new("").await;
    let client = told.server.client();
    let id = told.propose(&client).await;
    let accepted = json!({"decision_id": id, "type": "accepted"});
    assert_eq!(client.event(&accepted).await.json()["recorded"], true);
    let again = client.event(&accepted).await;
    assert_eq!(
        (again.status, again.json()),
        (200, json!({"recorded": true, "duplicate": true}))
    );
    let edited = json!({"decision_id": id, "type": "edited", "text": "pass"});
    assert_eq!(
        client.event(&edited).await.json(),
        json!({"recorded": true, "late": false})
    );
    let rewards = eventually("both are learned", async || {
        let rewards = client.metric("echo_rewards_learned_total").await;
        (rewards >= 2.0).then_some(rewards)
    });
    assert_eq!(rewards.await, 2.0);
    assert_eq!(
        client.metric("echo_reward_mean").await,
        0.0,
        "the later word stands"
    );
    told.server.stop().await;
    let entries = records::entries(&told.home.data());
    assert_eq!(records::events(&entries).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_after_the_last_word_is_late() {
    let told = Told::new("[reward]\nquiet_ms = 50\nlongest_ms = 100\n").await;
    let client = told.server.client();
    let id = told.propose(&client).await;
    eventually("the proposal settles", async || {
        (client.metric("echo_fates_total{kind=\"censored\"}").await == 1.0).then_some(())
    })
    .await;
    let late = client
        .event(&json!({"decision_id": id, "type": "accepted"}))
        .await;
    let status = late.status;
    // It is forgotten for good after some lifetimes: then nobody knows it.
    assert!(
        (status, late.json()["late"].as_bool()) == (200, Some(true)) || status == 404,
        "{late:?}"
    );
    assert_eq!(client.metric("echo_rewards_learned_total").await, 0.0);
}
