//! Short scenes of editing, with what must be read from the requests alone.

#![expect(clippy::unwrap_used, reason = "tests")]

use echo_reward::{
    Change, Event, EventKind, Fate, Habits, Outcome, Proposal, Scorer, Source, TrackerLimits,
    UserTracker, Window,
};
use proptest::prelude::*;

const LEFT: &str = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\ndef sub(a, b):";
const RIGHT: &str = "\n\n\nif __name__ == \"__main__\":\n    main()\n";
const PROPOSED: &str = "\n    result = a - b\n    return result";

/// Looks at the region holding each of the `texts` in turn, two seconds apart: too soon for a person
/// to have typed much of it.
fn scene(proposed: &str, texts: &[&str]) -> (UserTracker, Option<Outcome>) {
    let mut user = UserTracker::new(TrackerLimits::default());
    let asked = Window {
        file: Some("calc.py"),
        prefix: LEFT,
        suffix: RIGHT,
    };
    user.proposed(Proposal::new(7, 0, proposed, &asked, 1_000));
    let mut last = None;
    for (text, at_ms) in texts.iter().zip((3_000..).step_by(2_000)) {
        let prefix = format!("{LEFT}{text}");
        let window = Window {
            file: Some("calc.py"),
            prefix: &prefix,
            suffix: RIGHT,
        };
        last = user
            .request(&window, false, at_ms)
            .changes
            .pop()
            .map(|c| c.outcome)
            .or(last);
    }
    (user, last)
}

fn fate(proposed: &str, texts: &[&str]) -> Option<Fate> {
    scene(proposed, texts).1.map(|outcome| outcome.fate)
}

/// A user who goes on to other text `moves_ms` after asking; the answer comes 300 ms after it was asked for.
fn settled_after(moves_ms: i64, is_told_shown: bool) -> Fate {
    let mut user = UserTracker::new(TrackerLimits::default());
    let at = |prefix| Window {
        file: Some("calc.py"),
        prefix,
        suffix: RIGHT,
    };
    let other = format!("{LEFT}\n    \"\"\"Says what is left.\"\"\"");
    let mut moments = [(0, false), (300, true), (moves_ms, false)];
    moments.sort_unstable();
    for (at_ms, is_answer) in moments {
        if is_answer {
            let proposal = Proposal::new(7, 0, PROPOSED, &at(LEFT), at_ms).asked(0);
            user.proposed(proposal);
            if is_told_shown {
                let shown = Event {
                    decision: 7,
                    choice: 0,
                    kind: EventKind::Shown,
                    accepted_chars: None,
                    shown_chars: None,
                    text: None,
                };
                user.event(&shown, at_ms).unwrap();
            }
        } else {
            let text = if at_ms == 0 { LEFT } else { &other };
            user.request(&at(text), false, at_ms);
        }
    }
    user.request(&at(&format!("{other}\n")), false, 5_000);
    user.close()[0].outcome.fate
}

#[test]
fn who_had_gone_on_before_he_could_read_it_has_rejected_nothing() {
    // Before the answer; too soon after it; too soon if the client waits as long as any, since nothing is known of it yet;
    // and after half a second beyond that, or with the editor's word.
    let fates = [100, 700, 900, 1_200].map(|moves_ms| settled_after(moves_ms, false));
    let (unseen, rejected) = (Fate::NeverShown, Fate::Rejected);
    assert_eq!(fates, [unseen, unseen, Fate::Censored, rejected]);
    assert_eq!(settled_after(700, true), rejected);
}

/// A user of a client that waits for a pause of 350 ms, who begins to type 15 characters of his own so long after an answer.
fn settled_when_typing_begins(after_ms: i64) -> Fate {
    let mut user = UserTracker::new(TrackerLimits::default());
    let mut text = LEFT.to_owned();
    let window = |text: &str, user: &mut UserTracker, at_ms| {
        let window = Window {
            file: Some("calc.py"),
            prefix: text,
            suffix: RIGHT,
        };
        user.request(&window, false, at_ms);
        Proposal::new(7, 0, PROPOSED, &window, at_ms + 200)
    };
    let mut at_ms = 0;
    for word in ["\n    a", " = abs", "(b * a", ") + a"] {
        text.push_str(word);
        at_ms += 1_000;
        window(&text, &mut user, at_ms);
    }
    let habits = Habits {
        pause_ms: 350,
        ..Habits::default()
    };
    let proposal = window(&text, &mut user, at_ms + 350).asked(at_ms + 350);
    user.proposed(proposal.of(habits));
    text.push_str(" - b * floor(a)");
    at_ms += 350 + 200 + after_ms + 14 * 80 + 350;
    window(&text, &mut user, at_ms);
    window(&format!("{text}\n"), &mut user, at_ms + 2_000);
    user.close()[0].outcome.fate
}

#[test]
fn who_was_typing_when_it_came_has_rejected_nothing() {
    // At the speed that he typed at before; only one who had never typed so fast would surely not have seen it.
    let fates = [0, 1_000].map(settled_when_typing_begins);
    assert_eq!(fates, [Fate::Censored, Fate::Rejected]);
}

#[test]
fn what_has_left_a_window_that_slides_stays_as_it_was() {
    let mut user = UserTracker::new(TrackerLimits::default());
    let above = |line: u32| format!("fn other_{line}(rows: &[Row]) -> usize {{ rows.len() }}\n");
    let mut file: String = (0..20).map(above).collect();
    let mut fates = Vec::new();
    // Every line is another, and begins as all do.
    for line in 0_u32..40 {
        file.push_str("    // What comes next, in a word.\n    let kept = rows");
        let window = Window {
            file: Some("rows.rs"),
            prefix: &file[file.len() - 900..],
            suffix: "\n}\n",
        };
        let at_ms = i64::from(line) * 900;
        let seen = user.request(&window, false, at_ms);
        fates.extend(seen.changes.into_iter().map(|change| change.outcome.fate));
        let text = format!(".column_{line}(|row| row.price * {line}).sum_{line}();");
        let proposal = Proposal::new(line.into(), 0, &text, &window, at_ms + 200);
        user.proposed(proposal.asked(at_ms));
        file.push_str(&text);
        file.push('\n');
    }
    assert_eq!(fates, [Fate::Accepted; 39]);
}

/// One look, after so many seconds.
fn fate_after(seconds: i64, text: &str) -> Option<Fate> {
    let (mut user, _) = scene(PROPOSED, &[]);
    let prefix = format!("{LEFT}{text}");
    let window = Window {
        file: Some("calc.py"),
        prefix: &prefix,
        suffix: RIGHT,
    };
    let changes = user
        .request(&window, false, 1_000 + seconds * 1_000)
        .changes;
    changes.first().map(|change| change.outcome.fate)
}

#[test]
fn time_tells_text_put_in_from_text_typed() {
    let alike = "\n    difference = a - b\n    return difference";
    assert_eq!(fate_after(1, alike), Some(Fate::Refined));
    assert_eq!(fate_after(9, alike), Some(Fate::Rejected));
    let own = "\n    raise NotImplementedError(a)";
    assert_eq!(fate_after(1, own), Some(Fate::Rejected));
    assert_eq!(fate_after(9, own), Some(Fate::Rejected));
    assert_eq!(fate_after(9, PROPOSED), Some(Fate::Accepted));
}

#[test]
fn what_the_text_shows() {
    let whole = "\n    result = a - b\n    return result";
    let cases: &[(&[&str], Option<Fate>)] = &[
        (&[whole], Some(Fate::Accepted)),
        (
            &["\n    result = a - b\n    return result\n\n\ndef mul(a, b):"],
            Some(Fate::Accepted),
        ),
        (
            &[whole, "\n    difference = a - b\n    return result"],
            Some(Fate::Refined),
        ),
        (
            &["\n    result = a - b\n    return results"],
            Some(Fate::Refined),
        ),
        (
            &["\n    res", "\n    result = a", whole],
            Some(Fate::TypedThrough),
        ),
        (&["\n    res", "\n    resolve(a)"], Some(Fate::Rejected)),
        (&["\n    result = a - b"], Some(Fate::Partial)),
        (
            &["\n    result = a - b\n    print(a)\n    x = [1, 2, 3]"],
            Some(Fate::Partial),
        ),
        (&["\n    pass"], Some(Fate::Rejected)),
        (&[whole, ""], Some(Fate::Undone)),
        (
            &[whole, "\n    raise NotImplementedError"],
            Some(Fate::Undone),
        ),
        (&[""], None),
        (&["\n    res"], None),
    ];
    for (texts, expected) in cases {
        assert_eq!(fate(PROPOSED, texts), *expected, "{texts:?}");
    }
}

#[test]
fn an_editor_that_asks_ahead_proves_nothing() {
    let mut user = UserTracker::new(TrackerLimits::default());
    let asked = Window {
        file: None,
        prefix: LEFT,
        suffix: RIGHT,
    };
    user.proposed(Proposal::new(7, 0, PROPOSED, &asked, 1_000));
    let ahead = format!("{LEFT}{PROPOSED}");
    let window = Window {
        file: None,
        prefix: &ahead,
        suffix: RIGHT,
    };
    assert_eq!(user.request(&window, false, 1_060).changes, Vec::new());
    assert_eq!(
        user.request(&window, false, 2_000).changes[0].outcome.fate,
        Fate::Accepted
    );
}

#[test]
fn another_file_and_another_place_prove_nothing() {
    let (mut user, _) = scene(PROPOSED, &[]);
    let other = format!("{LEFT}\n    pass");
    let windows = [
        Window {
            file: Some("other.py"),
            prefix: &other,
            suffix: RIGHT,
        },
        Window {
            file: Some("calc.py"),
            prefix: "x = 1\ny = 2\nz = 3\nprint(x, y, z)\n",
            suffix: "",
        },
    ];
    for window in windows {
        assert_eq!(
            user.request(&window, false, 5_000).changes,
            Vec::new(),
            "{window:?}"
        );
    }
}

#[test]
fn settles_when_quiet_and_is_censored_without_evidence() {
    let (mut user, _) = scene(PROPOSED, &[PROPOSED]);
    assert_eq!(user.expire(12_999), Vec::new());
    let settled = user.expire(13_000);
    assert_eq!(
        (settled[0].outcome.fate, settled[0].outcome.settled),
        (Fate::Accepted, true)
    );
    assert!(user.recent().user() > 0.5);

    let (mut user, _) = scene(PROPOSED, &[]);
    assert_eq!(user.expire(300_999), Vec::new());
    let settled = user.expire(301_000);
    assert_eq!(
        (settled[0].outcome.fate, settled[0].outcome.settled),
        (Fate::Censored, true)
    );
    assert_eq!(Scorer::Retained1.reward(&settled[0].outcome), None);
    assert!((user.recent().user() - 0.5).abs() < f32::EPSILON);
}

#[test]
fn memory_is_bounded_and_eviction_is_told() {
    let limits = TrackerLimits {
        open: 2,
        ..TrackerLimits::default()
    };
    let mut user = UserTracker::new(limits);
    let asked = Window {
        file: None,
        prefix: LEFT,
        suffix: RIGHT,
    };
    let evicted: Vec<Change> = (0..5)
        .filter_map(|id| user.proposed(Proposal::new(id, 0, PROPOSED, &asked, 1_000)))
        .collect();
    assert_eq!(user.open(), 2);
    assert_eq!(
        evicted.iter().map(|c| c.decision).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert!(
        evicted
            .iter()
            .all(|c| c.outcome.fate == Fate::Censored && c.outcome.settled)
    );
}

fn told(kind: EventKind, accepted_chars: Option<u32>, text: Option<&str>) -> Option<Fate> {
    let (mut user, _) = scene(PROPOSED, &[]);
    let event = Event {
        decision: 7,
        choice: 0,
        kind,
        accepted_chars,
        text,
        shown_chars: None,
    };
    user.event(&event, 2_000)
        .unwrap()
        .map(|change| change.outcome.fate)
}

#[test]
fn what_the_editor_says() {
    assert_eq!(told(EventKind::Shown, None, None), None);
    assert_eq!(told(EventKind::Accepted, None, None), Some(Fate::Accepted));
    assert_eq!(told(EventKind::Partial, Some(9), None), Some(Fate::Partial));
    assert_eq!(told(EventKind::Rejected, None, None), Some(Fate::Rejected));
    assert_eq!(
        told(
            EventKind::Edited,
            None,
            Some("\n    total = a - b\n    return total")
        ),
        Some(Fate::Refined)
    );
    assert_eq!(
        told(EventKind::Edited, None, Some("pass")),
        Some(Fate::Undone)
    );
}

/// The editor's word that the proposal was not taken.
const DISMISSED: Event<'static> = Event {
    decision: 7,
    choice: 0,
    kind: EventKind::Rejected,
    accepted_chars: None,
    text: None,
    shown_chars: None,
};

#[test]
fn what_was_not_taken_and_stands_half_as_it_was_proposed_was_typed_by_hand() {
    let told = |text: &str| {
        let (mut user, read) = scene(PROPOSED, &[text]);
        let change = user.event(&DISMISSED, 9_000).unwrap().unwrap();
        assert_eq!(read.unwrap().fate, Fate::Refined);
        (change.outcome.fate, change.outcome.kept_share)
    };
    // 13 of its 22 characters, and all of it but the fourth letter.
    let typed = told("\n    result = a - b\n    retire()");
    assert_eq!(typed, (Fate::TypedThrough, 13.0 / 22.0));
    assert_eq!(
        told("\n    resolt = a - b\n    return resolt"),
        (Fate::Rejected, 0.0)
    );
}

#[test]
fn text_overrules_a_word_and_unknown_ids_are_refused() {
    let (mut user, _) = scene(PROPOSED, &["\n    res", PROPOSED]);
    assert_eq!(user.event(&DISMISSED, 9_000), Ok(None));
    assert!(
        user.event(
            &Event {
                decision: 8,
                ..DISMISSED
            },
            9_000
        )
        .is_err()
    );

    let (mut user, _) = scene(PROPOSED, &[]);
    let accepted = Event {
        kind: EventKind::Accepted,
        ..DISMISSED
    };
    user.event(&accepted, 2_000).unwrap();
    let gone = format!("{LEFT}\n    raise ValueError");
    let window = Window {
        file: None,
        prefix: &gone,
        suffix: RIGHT,
    };
    assert_eq!(
        user.request(&window, false, 4_000).changes[0].outcome.fate,
        Fate::Undone
    );
}

proptest! {
    #[test]
    fn any_text_taken_whole_is_accepted(text in "[a-z]{3,10}[a-z0-9 ().;é🦀\r\n\t]{0,60}[a-z]{3}") {
        prop_assert_eq!(fate(&text, &[&text]), Some(Fate::Accepted));
    }

    #[test]
    fn white_space_and_line_ends_do_not_matter(words in prop::collection::vec("[a-z]{3,8}", 3..12)) {
        let (proposed, stands) = (words.join("\n    "), words.join("\r\n\t"));
        prop_assert_eq!(fate(&proposed, &[&stands]), Some(Fate::Accepted));
    }

    #[test]
    fn measures_stay_in_range(proposed in any::<String>(), texts in prop::collection::vec(any::<String>(), 1..4)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if let (_, Some(outcome)) = scene(&proposed, &texts) {
            prop_assert!((0.0..=1.0).contains(&outcome.kept_share));
            prop_assert!(outcome.accepted_chars <= outcome.shown_chars);
            prop_assert!((0.0..=1.0).contains(&outcome.edit_distance));
        }
    }
}

#[test]
fn of_several_texts_in_one_answer_the_taken_one_counts() {
    let asked = Window {
        file: None,
        prefix: LEFT,
        suffix: RIGHT,
    };
    let others = vec![
        "\n    return b - a".to_owned(),
        "\n    return a - b".to_owned(),
    ];
    let proposal = Proposal::new(7, 0, PROPOSED, &asked, 1_000).or(others);
    let mut user = UserTracker::new(TrackerLimits::default());
    user.proposed(proposal);
    let prefix = format!("{LEFT}\n    return a - b\n\n");
    let window = Window {
        prefix: &prefix,
        ..asked
    };
    let outcome = user.request(&window, false, 3_000).changes[0].outcome;
    assert_eq!((outcome.fate, outcome.shown_chars), (Fate::Accepted, 17));
}

/// Three answers for one place; then the place holds `text`.
fn slate(text: &str) -> Vec<Option<Fate>> {
    let asked = Window {
        file: None,
        prefix: LEFT,
        suffix: RIGHT,
    };
    let mut user = UserTracker::new(TrackerLimits::default());
    let texts = [
        "\n    return a + b",
        "\n    return a - b",
        "\n    return a - b * 2",
    ];
    for ((id, at_ms), text) in (0..).zip((1_000..).step_by(10)).zip(texts) {
        user.proposed(Proposal::new(id, 0, text, &asked, at_ms).asked(900));
    }
    let prefix = format!("{LEFT}{text}");
    let window = Window {
        prefix: &prefix,
        ..asked
    };
    let told = user.request(&window, false, 9_000).changes;
    (0..3)
        .map(|id| {
            let mut told = told.iter().filter(|change| change.decision == id);
            let fate = told.next().map(|change| change.outcome.fate);
            fate.filter(|fate| *fate != Fate::Censored)
        })
        .collect()
}

#[test]
fn the_text_that_was_taken_names_the_winner_of_a_slate() {
    let (accepted, rejected) = (Some(Fate::Accepted), Some(Fate::Rejected));
    assert_eq!(slate("\n    return a - b\n"), [rejected, accepted, None]);
    assert_eq!(slate("\n    return a + b\n"), [accepted, None, None]);
    let own = slate("\n    raise NotImplementedError\n");
    assert_eq!(own[0], rejected);
    assert!(
        own[1..].iter().all(|fate| *fate != rejected),
        "the user need not have seen them"
    );
}

#[test]
fn an_answer_made_ahead_waits_for_its_user() {
    let window = |prefix: &'static str| Window {
        file: None,
        prefix,
        suffix: RIGHT,
    };
    let (asked, taken, next) = (
        "import os\n\n\ndef add(a, b):\n    return ",
        "import os\n\n\ndef add(a, b):\n    return a + b * a",
        "import os\n\n\ndef add(a, b):\n    return a + b * a\n\nprint(add(1, 2))",
    );
    // The client says that it asks ahead, or it is known by its coming at once.
    for is_said in [true, false] {
        let mut user = UserTracker::new(TrackerLimits::default());
        user.proposed(Proposal::new(1, 0, "a + b * a", &window(asked), 1_000));
        let ahead = user.request(&window(taken), is_said, 1_040);
        assert!(ahead.is_ahead && ahead.changes.is_empty());
        let child = Proposal::new(2, 0, "\n\nprint(add(1, 2))", &window(taken), 1_100);
        user.proposed(child.ahead(true));
        // Never come there.
        let mut left = user.clone();
        let fates: Vec<Fate> = left
            .close()
            .iter()
            .map(|change| change.outcome.fate)
            .collect();
        assert_eq!(fates, [Fate::Censored, Fate::Speculative]);
        // Asked ahead again behind the child: the cursor is behind the first now.
        let deeper = user.request(&window(next), is_said, 5_000);
        assert!(deeper.is_ahead);
        assert_eq!(deeper.changes.len(), 1);
        assert_eq!(deeper.changes[0].outcome.fate, Fate::Accepted);
        // The user is there now, and takes the child, too.
        let taken = user.request(&window(next), false, 9_000);
        assert!(!taken.is_ahead);
        assert_eq!(taken.changes[0].outcome.fate, Fate::Accepted);
    }
}

#[test]
fn how_long_a_proposal_stands_is_told_at_its_ages() {
    let (mut user, _) = scene(PROPOSED, &[PROPOSED]);
    assert!(user.expire(20_000)[0].outcome.settled);
    let mut look = |text: &str, at_ms| {
        let prefix = format!("{LEFT}{text}\n\n");
        let window = Window {
            file: Some("calc.py"),
            prefix: &prefix,
            suffix: RIGHT,
        };
        let told = user.request(&window, false, at_ms).changes;
        told.first()
            .map(|change| (change.source, change.outcome.fate, change.outcome.settled))
    };
    let survived = |fate| Some((Source::Survival, fate, true));
    assert_eq!(look(PROPOSED, 25_000), None, "younger than thirty seconds");
    assert_eq!(look(PROPOSED, 40_000), survived(Fate::Accepted));
    assert_eq!(look(PROPOSED, 50_000), None, "told already");
    let changed = "\n    difference = a - b\n    return difference";
    assert_eq!(look(changed, 200_000), survived(Fate::Refined));
    assert_eq!(look("\n    pass", 700_000), survived(Fate::Undone));
    assert_eq!(look("\n    pass", 800_000), None, "the last age is over");
}

/// The fate of a proposal that was taken in a file of these sides, two seconds after its answer.
fn taken_in(left: &str, proposed: &str, right: &str) -> Option<Fate> {
    let asked = Window {
        file: None,
        prefix: left,
        suffix: right,
    };
    let mut user = UserTracker::new(TrackerLimits::default());
    user.proposed(Proposal::new(1, 0, proposed, &asked, 1_000));
    let prefix = format!("{left}{proposed}");
    let window = Window {
        prefix: &prefix,
        ..asked
    };
    let changes = user.request(&window, false, 3_000).changes;
    changes.first().map(|change| change.outcome.fate)
}

#[test]
fn a_huge_file_and_a_huge_proposal_are_read() {
    let line = "    total += rows[index].price * rows[index].count;\n";
    let left = format!("{}fn last() {{\n", line.repeat(20_000));
    let lines: Vec<String> = (0..4_000)
        .map(|n| format!("    let value_{n} = {n};"))
        .collect();
    let proposed = lines.join("\n");
    assert_eq!(taken_in(&left, &proposed, ""), Some(Fate::Accepted));
    assert_eq!(taken_in("", &proposed, &left), Some(Fate::Accepted));
}

#[test]
fn of_several_equal_places_the_one_that_was_asked_for_is_read() {
    let arm = "        Some(value) => value,\n        None => return,\n";
    let function = |name: &str| format!("fn {name}() {{\n{arm}}}\n\n");
    for asked in 0..6 {
        let names: Vec<String> = (0..6).map(|n| format!("function_{n}")).collect();
        let left: String = names[..=asked].iter().map(|name| function(name)).collect();
        let left = left.strip_suffix("}\n\n").unwrap();
        let right: String = names[asked + 1..]
            .iter()
            .map(|name| function(name))
            .collect();
        let right = format!("\n}}\n\n{right}");
        let fate = taken_in(left, "        Err(error) => panic!(\"{error}\"),", &right);
        assert_eq!(fate, Some(Fate::Accepted), "{asked}");
    }
}

proptest! {
    #[test]
    fn any_script_and_any_line_end_is_read(
        left in "[a-zé\u{301}漢🦀👩\u{200d}🚀 \t(]{0,60}(\r\n|\n)?",
        proposed in "[a-zé\u{301}漢🦀👩\u{200d}🚀]{4,12}( [a-zé\u{301}漢🦀]{1,8}(\r\n\t)?){0,6}[a-z]{2}",
        right in "(\r\n|\n)[A-Zé\u{301}漢🦀👩\u{200d}🚀 \t)]{0,60}",
    ) {
        prop_assert_eq!(taken_in(&left, &proposed, &right), Some(Fate::Accepted));
    }

    #[test]
    fn any_requests_in_any_order_are_borne(
        windows in prop::collection::vec((any::<String>(), any::<String>(), any::<bool>(), any::<bool>()), 1..12),
        text in any::<String>(),
    ) {
        let mut user = UserTracker::new(TrackerLimits::default());
        for (id, (prefix, suffix, is_ahead, is_named)) in (0..).zip(&windows) {
            let window = Window {
                file: is_named.then_some("main.rs"),
                prefix,
                suffix,
            };
            let at_ms = i64::try_from(id).unwrap() * 700;
            let seen = user.request(&window, *is_ahead, at_ms);
            for change in seen.changes {
                prop_assert!((0.0..=1.0).contains(&change.outcome.kept_share));
            }
            let proposal = Proposal::new(id, 0, &text, &window, at_ms + 60);
            user.proposed(proposal.asked(at_ms).ahead(seen.is_ahead));
            let taken = format!("{prefix}{text}");
            user.request(&Window { prefix: &taken, ..window }, *is_ahead, at_ms + 400);
        }
        prop_assert_eq!(user.close().len(), windows.len());
    }
}
