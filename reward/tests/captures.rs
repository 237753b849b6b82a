//! Recorded traffic of real editor clients, at its recorded times: each proposal's fate is read from later
//! requests and compared with what the user truly did.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use echo_reward::{
    Event, EventKind, Fate, Habits, Outcome, Proposal, TrackerLimits, UserTracker, Window,
};
use serde_json::Value;

/// The text around the cursor, as owned by a recorded request.
#[derive(Debug, Clone)]
struct Place {
    file: Option<String>,
    prefix: String,
    suffix: String,
}

impl Place {
    /// Reads the few forms that the recordings have.
    fn of(body: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let segments = &body["segments"];
        if segments.is_object() {
            return Some(Self {
                file: segments["filepath"].as_str().map(str::to_owned),
                prefix: text(&segments["prefix"]),
                suffix: text(&segments["suffix"]),
            });
        }
        if body["input_prefix"].is_string() {
            return Some(Self {
                file: None,
                prefix: text(&body["input_prefix"]) + &text(&body["prompt"]),
                suffix: text(&body["input_suffix"]),
            });
        }
        let prompt = body["prompt"].as_str()?;
        let plain = |prefix: &str, suffix: &str| Self {
            file: None,
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        };
        if let Some(rest) = prompt.strip_prefix("<fim_prefix>") {
            let (prefix, rest) = rest.split_once("<fim_suffix>")?;
            return Some(plain(prefix, rest.strip_suffix("<fim_middle>")?));
        }
        Some(plain(prompt, body["suffix"].as_str().unwrap_or_default()))
    }

    fn window(&self) -> Window<'_> {
        Window {
            file: self.file.as_deref(),
            prefix: &self.prefix,
            suffix: &self.suffix,
        }
    }
}

/// One proposal of a recording and what was found of it.
#[derive(Debug)]
struct Told {
    n: u64,
    place: Place,
    text: String,
    outcome: Option<Outcome>,
    story: Vec<(i64, Fate, f64)>,
}

/// Follows a whole recording, on a clock by which all of it took so many times as short.
fn follow(path: &PathBuf, pace: i64) -> Vec<Told> {
    let steps: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let habits = Habits {
        first_line: name.starts_with("continue") || name.starts_with("llm-ls"),
        least_chars: if name.starts_with("tabby") { 4 } else { 0 },
        pause_ms: if name.starts_with("continue") { 350 } else { 0 },
    };
    // Arrivals of requests and ends of answers, in the order of their times.
    let mut moments: Vec<(i64, bool, &Value)> = Vec::new();
    for step in steps.iter().filter(|step| step.get("path").is_some()) {
        let ms = |key: &str| millis(&step[key]);
        moments.push((ms("t_ms"), false, step));
        moments.push((ms("t_done_ms"), true, step));
    }
    moments.sort_by_key(|(at, is_end, _)| (*at, *is_end));
    let mut user = UserTracker::new(TrackerLimits::default());
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    let mut ahead: BTreeMap<u64, bool> = BTreeMap::new();
    for (at_ms, is_end, step) in moments {
        let (n, body) = (step["n"].as_u64().unwrap(), &step["body"]);
        let path = step["path"].as_str().unwrap();
        let at_ms = at_ms / pace;
        let mut changes = user.expire(at_ms);
        if path.contains("events") || path.contains("devdata") {
            if !is_end {
                let event = event(step, &told);
                if let Some(event) = event
                    && let Ok(change) = user.event(&event, at_ms)
                {
                    changes.extend(change);
                }
            }
        } else if let Some(place) = Place::of(body).filter(|_| body["n_predict"] != 0) {
            if !is_end {
                let is_said = body["t_max_predict_ms"]
                    .as_f64()
                    .is_some_and(|ms| ms >= 1000.0);
                let seen = user.request(&place.window(), is_said, at_ms);
                ahead.insert(n, seen.is_ahead);
                changes.extend(seen.changes);
            } else if step["client_aborted"] != true {
                let text = answer(&step["response"]);
                if habits.shows(&text) {
                    let proposal = Proposal::new(n.into(), 0, &text, &place.window(), at_ms)
                        .of(habits)
                        .asked(millis(&step["t_ms"]) / pace)
                        .ahead(ahead[&n]);
                    changes.extend(user.proposed(proposal));
                    let (outcome, story) = (None, Vec::new());
                    told.insert(
                        n,
                        Told {
                            n,
                            place,
                            text,
                            outcome,
                            story,
                        },
                    );
                }
            }
        }
        for change in changes {
            let told = told
                .get_mut(&u64::try_from(change.decision).unwrap())
                .unwrap();
            told.outcome = Some(change.outcome);
            told.story
                .push((at_ms, change.outcome.fate, change.outcome.kept_share));
        }
    }
    for change in user.close() {
        told.get_mut(&u64::try_from(change.decision).unwrap())
            .unwrap()
            .outcome = Some(change.outcome);
    }
    told.into_values().collect()
}

#[expect(clippy::cast_possible_truncation, reason = "minutes in milliseconds")]
fn millis(value: &Value) -> i64 {
    value.as_f64().unwrap() as i64
}

fn answer(response: &Value) -> String {
    let choice = &response["choices"][0]["text"];
    let text = [choice, &response["completion"], &response["content"]];
    let text = text.into_iter().find_map(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn event<'a>(step: &'a Value, told: &BTreeMap<u64, Told>) -> Option<Event<'a>> {
    let (body, path) = (&step["body"], step["path"].as_str()?);
    if let Some(id) = body["completion_id"].as_str() {
        let kind = match body["type"].as_str()? {
            "view" => EventKind::Shown,
            "dismiss" => EventKind::Rejected,
            _ if path.contains("select_kind=line") => EventKind::Partial,
            _ => EventKind::Accepted,
        };
        return Some(Event {
            decision: id.get(5..13)?.parse().ok()?,
            choice: 0,
            kind,
            accepted_chars: None,
            shown_chars: None,
            text: None,
        });
    }
    let data = &body["data"];
    let (prefix, shown) = (data["prefix"].as_str()?, data["completion"].as_str()?);
    let is_it = |t: &&Told| {
        t.text.starts_with(shown) && t.place.prefix.trim_start().ends_with(prefix.trim_start())
            || prefix.trim_start().ends_with(t.place.prefix.trim_start())
    };
    let found = told.values().rev().find(is_it)?;
    Some(Event {
        decision: found.n.into(),
        choice: 0,
        kind: if data["accepted"] == true {
            EventKind::Accepted
        } else {
            EventKind::Rejected
        },
        accepted_chars: None,
        shown_chars: Some(u32::try_from(shown.chars().count()).unwrap()),
        text: None,
    })
}

/// The fates that are right for an answer, by the first rule that fits.
fn truth(rules: &[Value], recording: &str, before: &str, answer: &str) -> Vec<Fate> {
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
    let rule = rule.unwrap_or_else(|| panic!("{recording}: nothing is known of {before:?}"));
    let fates = rule["fates"].as_array().unwrap().iter();
    fates
        .map(|fate| fate.as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn every_recorded_fate_is_read_right() {
    check(1);
}

/// Sent again by somebody who does not wait as the user did: the typing shows that.
#[test]
fn every_recorded_fate_is_read_right_on_a_faster_clock() {
    for pace in [6, 8, 10, 30, 100] {
        check(pace);
    }
}

fn check(pace: i64) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let rules = std::fs::read_to_string(format!("{folder}/truth/fates.json")).unwrap();
    let rules: Vec<Value> = serde_json::from_str(&rules).unwrap();
    let mut wrong = Vec::new();
    let (mut recordings, mut proposals) = (0, 0);
    for path in files.filter(|path| path.extension().is_some_and(|e| e == "json")) {
        recordings += 1;
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for told in follow(&path, pace) {
            proposals += 1;
            let fate = told.outcome.map_or(Fate::Censored, |outcome| outcome.fate);
            let expected = truth(&rules, &name, &told.place.prefix, &told.text);
            if !expected.contains(&fate) {
                let tail = told.place.prefix.len().saturating_sub(30);
                wrong.push(format!(
                    "{name} #{}: {fate} for {expected:?}: {:?} after {:?}; {:?}",
                    told.n,
                    told.text,
                    told.place.prefix.get(tail..),
                    told.story
                ));
            }
        }
    }
    assert!(
        recordings >= 8 && proposals > 200,
        "{recordings} {proposals}"
    );
    assert!(
        wrong.is_empty(),
        "{} wrong at pace {pace}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
