//! Recorded traffic of real clients, sent again at its own pace to a server whose upstream gives the
//! recorded answers: the fate of every answer is read from it, and is what the user truly did.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::captures::{captures, exchanges, resend};
use crate::client::{Answer, Client};
use crate::patience::eventually;
use crate::server::Home;
use crate::upstream::{Asked, Reply, Step, Upstream};

/// The recordings are played so many times as fast as they were made, by a server whose clock is, too.
const PACE: u32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_fate_is_read_from_later_requests() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/captures/truth/fates.json");
    let rules: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(rules).unwrap()).unwrap();
    let plays = captures().into_iter().map(|path| play(path, &rules));
    let (mut judged, mut wrong) = (0, Vec::new());
    for (answers, misread) in join_all(plays).await {
        judged += answers;
        wrong.extend(misread);
    }
    assert!(judged > 200, "{judged} answers");
    assert!(
        wrong.is_empty(),
        "{} of {judged} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Plays one recording. Returns the number of its answers, and what was read wrongly.
async fn play(path: PathBuf, rules: &[Value]) -> (usize, Vec<String>) {
    let recording = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let steps: Vec<Arc<Value>> = exchanges(&path).into_iter().map(Arc::new).collect();
    let upstream = Upstream::start(script(&steps)).await;
    let home = Home::new();
    let server = home.configured(&upstream.arm("arm", ""));
    let server = server.pace(PACE).start().await;
    let ids = Mutex::new(BTreeMap::new());
    let started = Instant::now();
    let client = server.client();
    join_all(steps.iter().map(|step| send(&client, step, started, &ids))).await;
    server.stop().await;

    let data = home.data();
    let listed = home
        .command("outcomes")
        .args(["--json", "--data-dir", data.to_str().unwrap()]);
    let listed = listed.finish().await;
    assert!(listed.status.success(), "{listed:?}");
    let outcomes = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcomes: BTreeMap<String, Value> = outcomes
        .map(|outcome| (outcome["decision_id"].as_str().unwrap().to_owned(), outcome))
        .collect();
    let answers = steps.iter().filter(|step| text_of(step).is_some());
    let mut wrong = Vec::new();
    let mut judged = 0;
    for step in answers {
        judged += 1;
        let outcome = &outcomes[&ids.lock().unwrap()[&number(step)]];
        // Of requests for one place at one time, each may get the answer of another.
        let (before, text) = (
            before(&step["body"]).unwrap(),
            outcome["text"].as_str().unwrap(),
        );
        let expected = truth(rules, &recording, &before, text);
        if !expected.as_array().unwrap().contains(&outcome["fate"]) {
            wrong.push(format!(
                "{recording} #{}: not {expected}: {outcome}",
                step["n"]
            ));
        }
    }
    (judged, wrong)
}

/// Sends one exchange at its time, and leaves it when its client did.
async fn send(client: &Client, step: &Value, started: Instant, ids: &Mutex<BTreeMap<u64, String>>) {
    let at = |key: &str| {
        started + Duration::from_secs_f64(step[key].as_f64().unwrap() / 1000.0 / f64::from(PACE))
    };
    sleep_until(at("t_ms")).await;
    let mut step = step.clone();
    if let Some(id) = step["body"]["completion_id"].as_str() {
        // Ids of the recording server hold the number of their exchange.
        let recorded = id
            .get("cmpl-".len().."cmpl-".len() + 8)
            .unwrap()
            .parse()
            .unwrap();
        // It was told of milliseconds after its answer, which may still be on its way here.
        let ours = eventually("the answer that an event tells of", async || {
            ids.lock().unwrap().get(&recorded).cloned()
        });
        step["body"]["completion_id"] = format!("cmpl-{}", ours.await).into();
    }
    let request = resend(client, &step);
    if step["client_aborted"] == true {
        let left = timeout_at(at("t_done_ms"), Answer::of(request)).await;
        assert!(
            left.is_err(),
            "its answer came before its client left: {step}"
        );
        return;
    }
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    if answer.headers.contains_key("x-echo-decision") {
        ids.lock()
            .unwrap()
            .insert(number(&step), answer.header("x-echo-decision").to_owned());
    }
}

/// An upstream that gives each request the next recorded answer for its place, after the recorded time.
fn script(steps: &[Arc<Value>]) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let mut answers: BTreeMap<String, VecDeque<(Duration, String)>> = BTreeMap::new();
    for step in steps {
        let Some(before) = before(&step["body"]) else {
            continue;
        };
        let ms = |key: &str| step[key].as_f64().unwrap();
        let took =
            Duration::from_secs_f64((ms("t_done_ms") - ms("t_ms")) / 1000.0 / f64::from(PACE));
        let text = text_of(step).unwrap_or_default().to_owned();
        answers
            .entry(tail(&before))
            .or_default()
            .push_back((took, text));
    }
    let answers = Mutex::new(answers);
    move |asked: &Asked| {
        let before = asked.body["prompt"].as_str().unwrap();
        let mut answers = answers.lock().unwrap();
        let answer = answers.get_mut(&tail(before)).and_then(VecDeque::pop_front);
        let (took, text) = answer.unwrap_or_else(|| panic!("nobody asked after {before:?}"));
        if text.is_empty() {
            // The client left before it had an answer.
            return Reply::Never;
        }
        Reply::events(vec![Step::Pause(took), Step::piece(&text), Step::end()])
    }
}

fn number(step: &Value) -> u64 {
    step["n"].as_u64().unwrap()
}

/// How the text before the cursor ends, by which the upstream knows a request again. Some clients write
/// the language or the file's name above it, which Echo takes away.
fn tail(before: &str) -> String {
    let is_header = |line: &&str| line.starts_with("# ") || line.trim().is_empty();
    let lines = before.split_inclusive('\n').skip_while(is_header);
    let code: Vec<char> = lines.flat_map(str::chars).collect();
    code[code.len().saturating_sub(120)..].iter().collect()
}

/// The text before the cursor of a recorded request that asks for a completion.
fn before(body: &Value) -> Option<String> {
    if body["n_predict"] == 0 {
        return None;
    }
    if let Some(prefix) = body["segments"]["prefix"].as_str() {
        return Some(prefix.to_owned());
    }
    let prompt = body["prompt"].as_str()?;
    if let Some(lines) = body["input_prefix"].as_str() {
        return Some([lines, prompt].concat());
    }
    let rest = prompt.strip_prefix("<fim_prefix>");
    let prefix = rest.and_then(|rest| rest.split_once("<fim_suffix>"));
    Some(prefix.map_or(prompt, |(prefix, _)| prefix).to_owned())
}

/// The answer that a recorded request got.
fn text_of(step: &Value) -> Option<&str> {
    before(&step["body"])?;
    let response = &step["response"];
    let texts = [
        &response["choices"][0]["text"],
        &response["completion"],
        &response["content"],
    ];
    texts.into_iter().find_map(Value::as_str)
}

/// The fates that are right for an answer, by the first rule that fits.
fn truth(rules: &[Value], recording: &str, before: &str, answer: &str) -> Value {
    let before = before.trim_end_matches(' ');
    let fits = |rule: &&Value| {
        let text = |key: &str| rule[key].as_str();
        let is_text = |beginnings: &Vec<Value>| {
            let mut beginnings = beginnings.iter().filter_map(Value::as_str);
            beginnings.any(|beginning| answer.starts_with(beginning))
        };
        text("recording").is_none_or(|part| recording.contains(part))
            && text("before").is_none_or(|end| before.ends_with(end))
            && rule["text"].as_array().is_none_or(is_text)
    };
    let rule = rules.iter().find(fits);
    rule.unwrap_or_else(|| panic!("{recording}: nothing is known of {before:?}"))["fates"].clone()
}
