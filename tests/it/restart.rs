//! Stopping and starting again: nothing in flight is lost, and what was learned is the same to the bit.

use std::sync::Arc;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Events, Next, joined};
use crate::editor::{Editor, right_in};
use crate::patience::{eventually, soon};
use crate::records;
use crate::replay;
use crate::server::{Home, Server};
use crate::upstream::{Reply, Step, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_in_flight_finish() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |_| {
        Reply::events(vec![
            Step::piece("be"),
            Step::Wait(Arc::clone(&held)),
            Step::piece("fore"),
            Step::end(),
        ])
    })
    .await;
    let home = Home::new();
    let mut server = home.configured(&upstream.arm("arm", "")).start().await;
    let client = server.client();
    let mut stream = client
        .stream(&json!({"model": "echo", "prompt": "x"}))
        .await;
    let first = stream.data().await;
    let whole = tokio::spawn({
        let client = client.user("another");
        async move {
            client
                .complete(&json!({"model": "echo", "prompt": "x"}))
                .await
        }
    });
    eventually("both are asked", async || {
        (upstream.asked().len() == 2).then_some(())
    })
    .await;
    server.terminate();
    let address = server.address();
    eventually("no new connection", async || {
        TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    assert!(
        server.try_wait().is_none(),
        "it waits for what is in flight"
    );
    gate.add_permits(2);
    let (events, ending) = stream.rest().await;
    let events: Vec<_> = [first].into_iter().chain(events).collect();
    assert_eq!(
        (joined(&events, 0).as_str(), ending),
        ("before", vec![Next::Done, Next::End])
    );
    assert_eq!(
        soon("the plain answer", whole).await.unwrap().completion(),
        "before"
    );
    assert_eq!(server.wait().await.code(), Some(0), "{}", server.stderr());
    let entries = records::entries(&home.data());
    assert!(records::served(&entries).all(|served| served.ending == "stop"));
    assert_eq!(records::served(&entries).count(), 2);
}

/// A server with an answer in flight that never ends.
async fn endless(drain_ms: u32) -> (Home, Upstream, Server, Events) {
    let upstream = Upstream::start(|_| Reply::events(vec![Step::piece("a"), Step::Hang])).await;
    let home = Home::new();
    let arm = upstream.arm("arm", "idle_ms = 600000\ntotal_ms = 600000");
    let server = home
        .configured(&format!("[server]\ndrain_ms = {drain_ms}\n{arm}"))
        .start()
        .await;
    let mut stream = server
        .client()
        .stream(&json!({"model": "echo", "prompt": "x"}))
        .await;
    stream.data().await;
    (home, upstream, server, stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_only_so_long() {
    let (home, _upstream, server, mut stream) = endless(100).await;
    server.stop().await;
    assert_eq!(
        stream.next().await,
        Next::Broken,
        "nobody takes it for the whole answer"
    );
    let entries = records::entries(&home.data());
    assert_eq!(
        records::served(&entries).next().unwrap().ending,
        "cancelled"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let (_home, _upstream, mut server, mut stream) = endless(600_000).await;
    server.terminate();
    eventually("the first signal's effect", async || {
        server.stderr().contains("stopping").then_some(())
    })
    .await;
    server.terminate();
    assert_eq!(server.wait().await.code(), Some(1), "{}", server.stderr());
    assert_eq!(stream.next().await, Next::Broken);
}

/// Two arms, each right in one language; a control cohort; a policy that changes on the way.
struct World {
    home: Home,
    right: [Upstream; 2],
}

impl World {
    async fn new() -> Self {
        let right = [
            Upstream::start(right_in(Some("py"))).await,
            Upstream::start(right_in(Some("js"))).await,
        ];
        Self {
            home: Home::new(),
            right,
        }
    }

    fn config(&self, spec: &str, version: u32) -> String {
        let [py, js] = &self.right;
        let settings = format!(
            "[policy]\nspec = \"{spec}\"\n[control]\nshare = 0.3\n[log]\nseal_records = 400\n"
        );
        format!(
            "{settings}{}{}",
            py.arm("py", &format!("version = {version}")),
            js.arm("js", "")
        )
    }

    async fn start(&self, spec: &str) -> Server {
        self.home
            .configured(&self.config(spec, 1))
            .pace(PACE)
            .start()
            .await
    }

    /// Several users at work at the same time.
    async fn work(&self, server: &Server, round: usize) {
        let mut users = JoinSet::new();
        for number in 0..6 {
            let language = ["py", "js"][number % 2];
            let mut editor =
                Editor::new(&server.client(), &format!("user{number}-{round}"), language);
            users.spawn(async move {
                for _ in 0..25 {
                    editor.step().await;
                }
            });
        }
        while let Some(done) = users.join_next().await {
            done.unwrap();
        }
    }
}

const PACE: u32 = 1000;

/// One policy of each kind that can serve, and each with draws of its own.
const SPECS: [&str; 7] = [
    "squarecb",
    "uniform",
    "fixed:py=0.7,js=0.3,floor=0.05",
    "epsilon-greedy:epsilon=0.1",
    "softmax:temperature=0.1",
    "linucb:alpha=1",
    "lints:scale=0.3",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_ends_in_the_same_state_and_every_probability_is_reproduced() {
    let world = World::new().await;
    for (round, spec) in SPECS.into_iter().enumerate() {
        // In the middle the arm `py` gets a new version, which starts from what the old one had learned.
        let version = if round < 4 { 1 } else { 2 };
        let launch = world
            .home
            .configured(&world.config(spec, version))
            .pace(PACE);
        let mut server = launch.args(["--seed", &round.to_string()]).start().await;
        world.work(&server, round).await;
        // Killed and stopped in turn: one resumes from an old snapshot, the other from the last.
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop().await;
        }
    }
    world.start("squarecb").await.stop().await;
    let entries = records::entries(&world.home.data());
    // Compares the state at every publication, those of all starts among them.
    let policies = replay::policies(&entries);
    let starts = records::policies(&entries)
        .filter(|published| published.reason == "start")
        .count();
    let repeated = replay::reproduce(&entries);
    println!(
        "{starts} starts end in the state of a fold from nothing; {repeated} decisions are reproduced bit for bit"
    );
    assert_eq!(starts, SPECS.len() + 1);
    assert_eq!(repeated, SPECS.len() * 6 * 25);
    assert!(
        policies.rewards_at_last_start > 300,
        "{}",
        policies.rewards_at_last_start
    );
    assert!(
        records::decisions(&entries).any(|decision| decision.arms.contains(&"py@2".to_owned()))
    );
    let controls = records::decisions(&entries)
        .filter(|decision| decision.cohort == "control")
        .count();
    assert!(
        controls > 0 && controls < repeated,
        "both cohorts are there: {controls}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_published_on_reload_and_reproduced_too() {
    let world = World::new().await;
    let server = world.start("squarecb").await;
    world.work(&server, 0).await;
    world
        .home
        .configure(&world.config("softmax:temperature=0.2", 1));
    server.hang_up();
    let published = eventually("the new policy", async || {
        let entries = records::entries(&world.home.data());
        records::policies(&entries)
            .find(|published| published.reason == "configuration")
            .cloned()
    });
    assert!(published.await.spec.starts_with("softmax"));
    world.work(&server, 1).await;
    server.stop().await;
    assert_eq!(
        replay::reproduce(&records::entries(&world.home.data())),
        2 * 6 * 25
    );
}

/// The evidence on record is not lost with the memory of the process that saw it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_of_a_proposal_before_a_kill_is_its_outcome_after_it() {
    let upstream = Upstream::saying("total = price * count").await;
    let home = Home::new();
    let config = format!(
        "[reward]\nquiet_ms = 1500\nlongest_ms = 3000\n{}",
        upstream.arm("arm", "")
    );
    let mut server = home.configured(&config).start().await;
    let client = server.client();
    let id = client
        .complete(&json!({"model": "echo", "prompt": "def bill():\n    "}))
        .await
        .decision();
    assert_eq!(
        client
            .event(&json!({"decision_id": id, "type": "accepted"}))
            .await
            .status,
        200
    );
    eventually("evidence", async || {
        records::evidence(&records::entries(&home.data()))
            .next()
            .map(|_| ())
    })
    .await;
    server.kill();
    let server = home.configured(&config).start().await;
    let last = eventually("the last word", async || {
        let entries = records::entries(&home.data());
        records::evidence(&entries)
            .find(|evidence| evidence.settled)
            .cloned()
    })
    .await;
    assert_eq!(
        (last.decision.as_str(), last.fate.as_str()),
        (id.as_str(), "accepted")
    );
    server.stop().await;
}
