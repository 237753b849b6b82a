//! Stories of one user over several requests and answers, told as a server hears them.

use std::collections::BTreeMap;

use echo_reward::{Fate, Proposal, TrackerLimits, UserTracker, Window};

/// One user in one file.
struct Story {
    user: UserTracker,
    fates: BTreeMap<u128, Fate>,
}

impl Story {
    fn new() -> Self {
        Self {
            user: UserTracker::new(TrackerLimits::default()),
            fates: BTreeMap::new(),
        }
    }

    /// A request with its cursor at the `|` of `text`, and the answers that come 200 ms later.
    fn request(&mut self, text: &str, at_ms: i64, answers: &[(u128, &str)]) {
        self.asked(text, false, at_ms, answers);
    }

    /// The same, made ahead of the user, as its client says.
    fn ahead(&mut self, text: &str, at_ms: i64, answers: &[(u128, &str)]) {
        self.asked(text, true, at_ms, answers);
    }

    fn asked(&mut self, text: &str, is_said_ahead: bool, at_ms: i64, answers: &[(u128, &str)]) {
        let (prefix, suffix) = text.split_once('|').expect("a cursor");
        let window = Window {
            file: Some("cache.rs"),
            prefix,
            suffix,
        };
        let seen = self.user.request(&window, is_said_ahead, at_ms);
        let told = seen.changes.iter();
        let told = told.map(|change| (change.decision, change.outcome.fate));
        self.fates.extend(told);
        for (id, answer) in answers {
            let proposal = Proposal::new(*id, 0, answer, &window, at_ms + 200).asked(at_ms);
            self.user.proposed(proposal.ahead(seen.is_ahead));
        }
    }

    /// The last that was told of a proposal.
    fn fate(&self, id: u128) -> Option<Fate> {
        self.fates.get(&id).copied()
    }
}

const ABOVE: &str = "impl Cache {\n    fn insert(&mut self, key: u64, value: u64) {\n        ";

#[test]
fn of_two_that_were_shown_one_after_the_other_the_later_was_taken() {
    let mut story = Story::new();
    let earlier = "let old = self.values.insert(key.clone(), (value, self.clock));";
    let later = "d = self.values.insert(key.clone(), (state, self.clock));";
    story.request(&format!("{ABOVE}|"), 0, &[(1, earlier)]);
    story.request(&format!("{ABOVE}let ol|"), 2_500, &[(2, later)]);
    // The later one with another name is the earlier one, which was not on the screen any more.
    story.request(&format!("{ABOVE}{earlier}\n        self|"), 5_500, &[]);
    assert_eq!(story.fate(2), Some(Fate::Refined));
    // Both for one place: then the one that stands in full was taken.
    let mut story = Story::new();
    let answers = [(1, later), (2, &earlier[6..])];
    story.request(&format!("{ABOVE}let ol|"), 2_500, &answers);
    story.request(&format!("{ABOVE}{earlier}\n        self|"), 5_500, &[]);
    assert_eq!(story.fate(1), Some(Fate::Rejected));
    assert_eq!(story.fate(2), Some(Fate::Accepted));
}

#[test]
fn who_types_by_hand_what_two_begin_with_turns_neither_down() {
    let mut story = Story::new();
    let (shown, other) = ("misses: 0,\n        }\n    }", "misses: 0,");
    let answers = [(1, shown), (2, other)];
    story.request(&format!("{ABOVE}|"), 0, &answers);
    story.request(&format!("{ABOVE}mis|"), 2_500, &[]);
    story.request(&format!("{ABOVE}misses: |"), 5_000, &[]);
    story.request(&format!("{ABOVE}misses: 0,\n    |"), 7_500, &[]);
    assert_eq!(story.fate(2), Some(Fate::TypedThrough));
    story.request(&format!("{ABOVE}misses: 0,\n        }}\n|"), 9_500, &[]);
    story.request(
        &format!("{ABOVE}misses: 0,\n        }}\n    }}\n|"),
        11_000,
        &[],
    );
    assert_eq!(story.fate(1), Some(Fate::TypedThrough));
}

#[test]
fn who_has_typed_ever_since_it_came_has_perhaps_not_read_it() {
    let fate = |thinks_ms: i64| {
        let mut story = Story::new();
        let mut text = ABOVE.to_owned();
        let mut at_ms = 0;
        // Ten keys at a time, 150 ms each, behind a client that nothing is known of: it asks 300 ms after the last.
        for (id, line) in ["let a = b;", "let c = d;", "let e = f;", "let g = h;"]
            .iter()
            .enumerate()
        {
            text.push_str(line);
            at_ms += 10 * 150 + 300;
            story.request(
                &format!("{text}|"),
                at_ms,
                &[(id as u128, "self.clock += 1;")],
            );
        }
        text.push_str("let i = j;");
        at_ms += 200 + thinks_ms + 9 * 150 + 300;
        story.request(&format!("{text}|"), at_ms, &[]);
        story.fate(3)
    };
    assert_eq!(fate(100), Some(Fate::Censored));
    assert_eq!(fate(1_500), Some(Fate::Rejected));
}

#[test]
fn what_is_taken_tells_nothing_of_how_fast_its_user_types() {
    let fate = |takes: bool| {
        let mut story = Story::new();
        let mut text = ABOVE.to_owned();
        let mut at_ms = 0;
        for (id, typed) in (0..).zip(["let a = b;", "let c = d;", "let e = f;", "let g = h;"]) {
            // Ten keys, 150 ms each; then twenty characters at once, a second after they were proposed.
            text.push_str(typed);
            at_ms += 10 * 150 + 300;
            let line = format!("self.clock{id} += 10{id};\n");
            story.request(&format!("{text}|"), at_ms, &[(id, &line)]);
            if takes {
                text.push_str(&line);
                at_ms += 200 + 1_000 + 300;
                story.request(&format!("{text}|"), at_ms, &[]);
            }
        }
        at_ms += 10 * 150 + 300;
        text.push_str("let i = j;");
        story.request(&format!("{text}|"), at_ms, &[(9, "self.hits += 1;")]);
        at_ms += 200 + 100 + 9 * 150 + 300;
        text.push_str("let k = l;");
        story.request(&format!("{text}|"), at_ms, &[]);
        story.fate(9)
    };
    assert_eq!(fate(false), Some(Fate::Censored));
    assert_eq!(fate(true), Some(Fate::Censored));
}

#[test]
fn what_was_offered_behind_a_proposal_that_is_taken_back_is_rejected() {
    // Code repeats itself: the proposal's text stands further down, too.
    let taken = "self.order.remove(&used);";
    let below = format!("\n}}\n\nfn evict(&mut self) {{\n    {taken}\n    self.misses += 1;\n}}\n");
    let mut story = Story::new();
    let mut text = ABOVE.to_owned();
    let mut at_ms = 0;
    for line in ["let a = b;", "let c = d;", "let e = f;", "let g = h;"] {
        text.push_str(line);
        at_ms += 1_800;
        story.request(&format!("{text}|{below}"), at_ms, &[]);
    }
    text.push_str("\n        ");
    at_ms += 5_000;
    story.request(&format!("{text}|{below}"), at_ms, &[(1, taken)]);
    at_ms += 5_000;
    let answers = [(2, "drop(self.clock);")];
    story.request(&format!("{text}{taken}|{below}"), at_ms, &answers);
    // One key takes it back, two seconds after the second answer, and the client waits for 300 ms.
    at_ms += 200 + 2_000 + 300;
    story.request(&format!("{text}|{below}"), at_ms, &[]);
    at_ms += 3_000;
    story.request(&format!("{text}break;|{below}"), at_ms, &[]);
    assert_eq!(story.fate(1), Some(Fate::Undone));
    assert_eq!(story.fate(2), Some(Fate::Rejected));
}

#[test]
fn what_was_asked_for_ahead_is_on_the_screen_since_what_follows_it_is_asked_for() {
    let fate = |typed_ms: i64| {
        let mut story = Story::new();
        let (first, second) = ("let old = self.take(key);", "\n        drop(old);");
        story.request(&format!("{ABOVE}|"), 0, &[(1, first)]);
        story.ahead(&format!("{ABOVE}{first}|"), 210, &[(2, second)]);
        // It is taken at 5 s.
        story.ahead(&format!("{ABOVE}{first}{second}|"), 5_050, &[]);
        story.request(&format!("{ABOVE}{first} //|"), 5_050 + typed_ms, &[]);
        story.fate(2)
    };
    assert_eq!(fate(300), Some(Fate::NeverShown));
    assert_eq!(fate(1_500), Some(Fate::Rejected));
}

#[test]
fn what_is_written_at_the_end_is_seen_when_the_user_comes_back_from_above() {
    let mut story = Story::new();
    let day = |day: &str| {
        format!(
            "{ABOVE}self.day = {day}();\n        self.quantity = quantity;\n        self.count += 1;\n    }}\n\n    fn describe(&self) -> String {{"
        )
    };
    story.request(
        &format!("{}|", day("today")),
        0,
        &[(1, "\n        use std::fmt;")],
    );
    let above = day("tomorrow").replacen("tomorrow", "tomorrow|", 1);
    story.request(&above, 4_000, &[]);
    story.request(
        &format!("{}\n        format!(\"{{}}|", day("tomorrow")),
        9_000,
        &[],
    );
    assert_eq!(story.fate(1), Some(Fate::Rejected));
}

#[test]
fn what_comes_behind_text_of_ones_own_was_passed_by() {
    let proposed = "None if self.is_open => {\n                self.misses += 1;\n                None\n            }";
    let fate = |text: &str| {
        let mut story = Story::new();
        story.request(&format!("{ABOVE}|"), 0, &[(1, proposed)]);
        story.request(&format!("{ABOVE}{text}"), 30_000, &[]);
        story.fate(1)
    };
    let own = "Some(value) => value.clone(),\n            ";
    // He wrote a line, and then what was proposed; or he took it, and wrote the line above it.
    assert_eq!(fate(&format!("{own}{proposed}|")), Some(Fate::Rejected));
    assert_eq!(fate(&format!("{own}|{proposed}")), Some(Fate::Refined));
}

#[test]
fn text_behind_the_cursor_was_not_typed() {
    let mut story = Story::new();
    story.request(&format!("{ABOVE}|"), 0, &[(1, "name.evict();")]);
    story.request(&format!("{ABOVE}self|.evict();"), 20_000, &[]);
    assert_eq!(story.fate(1), Some(Fate::Refined));
}

#[test]
fn the_end_of_an_answer_made_ahead_is_the_users_own_when_he_took_it_as_another() {
    let mut story = Story::new();
    let text = "order.insert(self.clock, key);";
    let (before, rest) = text.split_at(16);
    let next = "\n        self.hits += 1;";
    story.ahead(&format!("{ABOVE}|"), 0, &[(1, text)]);
    story.request(&format!("{ABOVE}{before}|"), 4_000, &[(2, rest)]);
    story.ahead(&format!("{ABOVE}{text}|"), 4_300, &[(3, next)]);
    story.ahead(&format!("{ABOVE}{text}{next}|"), 5_700, &[]);
    assert_eq!(story.fate(2), Some(Fate::Accepted));
    story.request(&format!("{ABOVE}{text}\n|"), 6_000, &[]);
    assert_eq!(story.fate(2), Some(Fate::Accepted));
}

#[test]
fn what_the_last_request_showed_was_not_asked_for_ahead() {
    let mut story = Story::new();
    story.request(&format!("{ABOVE}|"), 0, &[(1, "if self.level < 0 {")]);
    // What comes so soon after an answer and holds it is the editor's.
    let ahead = "\n            self.count(key, value);";
    story.request(&format!("{ABOVE}if self.level < 0 {{|"), 210, &[(2, ahead)]);
    let taken = " 0 {\n            self.total(key, value);";
    story.request(&format!("{ABOVE}if self.level <|"), 3_000, &[(3, taken)]);
    let line = format!("{ABOVE}if self.level < 0 {{\n            self.");
    story.request(&format!("{line}total|(key, value);"), 6_000, &[]);
    assert_eq!(story.fate(3), Some(Fate::Accepted));
    // He makes of it what was answered ahead.
    story.request(&format!("{line}count|(key, value);"), 8_000, &[]);
    story.request(&format!("{line}count(key, value);|"), 9_000, &[]);
    assert_eq!(story.fate(3), Some(Fate::Refined));
}
