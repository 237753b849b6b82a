//! API keys: who is let in, and who sees what.

use serde_json::{Value, json};

use crate::client::Client;
use crate::patience::eventually;
use crate::records;
use crate::server::Home;
use crate::setting::{CANARY, Setting, check};
use crate::upstream::Upstream;

/// A key as `echo-proxy key` makes it.
pub(crate) struct Key {
    /// The key itself.
    pub(crate) text: String,
    /// The lines of the configuration that accept it.
    pub(crate) toml: String,
}

impl Key {
    /// A new key of the tenant `name`.
    pub(crate) async fn new(name: &str) -> Self {
        let made = Home::new()
            .command("key")
            .args([name, "--json"])
            .finish()
            .await;
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        let (name, tenant, digest) = (text("name"), text("tenant"), text("sha256"));
        let toml =
            format!("[[key]]\nname = \"{name}\"\ntenant = \"{tenant}\"\nsha256 = \"{digest}\"\n");
        Self {
            text: text("key"),
            toml,
        }
    }

    /// A client with this key.
    pub(crate) fn on(&self, client: &Client) -> Client {
        client.with("authorization", &format!("Bearer {}", self.text))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_unknown_or_contradictory_key_is_refused() {
    let Key { text: key, toml } = Key::new("team").await;
    let (setting, server) = Setting::new(&toml).await;
    let client = server.client();
    let bearer = |key: &str| client.with("authorization", &format!("Bearer {key}"));
    let body = json!({"model": "echo", "prompt": CANARY});
    let strangers = [
        ("no key", client.clone()),
        ("an empty key", bearer("")),
        (
            "another scheme",
            client.with("authorization", &format!("Basic {CANARY}")),
        ),
        ("an unknown key", bearer(CANARY)),
        ("a key and more", bearer(&format!("{key}0"))),
        ("an unknown x-api-key", client.with("x-api-key", CANARY)),
    ];
    let mut said = Vec::new();
    for (what, stranger) in strangers {
        let answer = stranger.ask(&body).await;
        let error = check(&answer, 401, what);
        assert_eq!(
            (&error["code"], &error["type"]),
            (&json!("invalid_api_key"), &json!("invalid_request_error"))
        );
        said.push(answer.body);
        check(&stranger.get("/v1/models").await, 401, what);
        assert_eq!(stranger.get("/api/tags").await.status, 401, "{what}");
        check(
            &stranger
                .event(&json!({"decision_id": "x", "type": "shown"}))
                .await,
            401,
            what,
        );
        assert_eq!(stranger.get("/healthz").await.status, 200);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "what is wrong with a key is not told");
    let two = bearer(&key).with("x-api-key", CANARY);
    assert_eq!(
        check(&two.ask(&body).await, 400, "two keys")["param"],
        "x-api-key"
    );
    let friends = [
        bearer(&key),
        client.with("x-api-key", &key),
        bearer(&key).with("x-api-key", &key),
    ];
    for friend in &friends {
        assert_eq!(friend.get("/v1/models").await.status, 200);
        assert_eq!(friend.ask(&body).await.status, 200);
    }
    let stderr = server.stderr();
    assert!(!stderr.contains(&key), "{stderr}");
    setting.expect_unharmed(server, &friends[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_needs_keys() {
    let upstream = Upstream::saying("fine").await;
    let home = Home::new();
    home.configure(&upstream.arm("arm", ""));
    let file = home.config();
    let data = home.data();
    let serve = || {
        home.command("serve").args([
            "--config",
            file.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ])
    };
    let refused = serve().args(["--listen", "0.0.0.0:0"]).finish().await;
    assert!(
        refused.stderr.contains("[[key]]") && refused.status.code() == Some(1),
        "{refused:?}"
    );

    let key = Key::new("team").await;
    let arm = upstream.arm("arm", "");
    let keyed = format!("[server]\nlisten = \"0.0.0.0:0\"\n{}{arm}", key.toml);
    home.configure(&keyed);
    let server = serve().start().await;
    let client = Client::new(([127, 0, 0, 1], server.address().port()).into());
    let body = json!({"model": "echo", "prompt": "x"});
    assert_eq!(
        client.ask(&body).await.error(401)["code"],
        "invalid_api_key"
    );
    assert_eq!(key.on(&client).complete(&body).await.completion(), "fine");
    server.stop().await;
    let entries = records::entries(&data);
    let decision = records::decisions(&entries).next().unwrap();
    assert_eq!(
        (decision.tenant.as_str(), decision.user.as_str()),
        ("team", "team")
    );
    let facts: Value = serde_json::from_str(&decision.facts).unwrap();
    assert_eq!(facts["tenant"], "team");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_on_reload() {
    let upstream = Upstream::saying("fine").await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", "")).start().await;
    let client = server.client();
    let body = json!({"model": "echo", "prompt": "x"});
    client.complete(&body).await;
    let made = home.command("key").args(["team"]).finish().await;
    let key = made
        .stdout
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next())
        .unwrap();
    home.configure(&format!("{}{}", made.stdout, upstream.arm("arm", "")));
    server.hang_up();
    eventually("the key is asked for", async || {
        (client.ask(&body).await.status == 401).then_some(())
    })
    .await;
    client.with("x-api-key", key).complete(&body).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_on_nothing_or_on_another_tenants_proposal_finds_nothing() {
    let (ours, theirs) = (Key::new("acme").await, Key::new("other").await);
    let upstream = Upstream::saying("total = price").await;
    let home = Home::new();
    let config = [ours.toml.as_str(), &theirs.toml, &upstream.arm("arm", "")];
    let server = home.configured(&config.concat()).start().await;
    let (acme, other) = (ours.on(&server.client()), theirs.on(&server.client()));
    let answer = acme
        .complete(&json!({"model": "echo", "prompt": "x"}))
        .await;
    let unknown =
        json!({"decision_id": "01890000-0000-7000-8000-000000000000", "type": "accepted"});
    let known = json!({"decision_id": answer.decision(), "type": "accepted"});
    let mut bodies = Vec::new();
    for (client, event) in [(&acme, &unknown), (&other, &unknown), (&other, &known)] {
        let answer = client.event(event).await;
        assert_eq!(answer.error(404)["code"], "decision_not_found");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "what another tenant has is not told");
    assert_eq!(acme.event(&known).await.status, 200);
    server.stop().await;
    assert_eq!(records::events(&records::entries(&home.data())).count(), 1);
}
