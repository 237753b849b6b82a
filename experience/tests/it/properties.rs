//! Any records, sealed and reopened at any points, are read back bit for bit.

use echo_experience::{
    ConfigurationChanged, Decision, Event, Evidence, Log, LogReader, ModelPublished,
    PolicyPublished, Record, Served, Verdict,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

use crate::samples::quiet;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Record>),
    Seal,
    Drop,
    Close,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect()),
        "[a-z \\n\\r\\t\"\\\\\u{0}\u{7f}]{0,30}",
    ]
}

fn number() -> impl Strategy<Value = f64> {
    any::<u64>()
        .prop_map(f64::from_bits)
        .prop_filter("finite", |number| number.is_finite())
}

fn feature() -> impl Strategy<Value = f32> {
    any::<u32>()
        .prop_map(f32::from_bits)
        .prop_filter("finite", |number| number.is_finite())
}

fn decision() -> impl Strategy<Value = Record> {
    let texts = vec(text(), 9);
    let texts_kept = vec(option::of(text()), 4);
    let arms = vec((text(), 0.001_f64..1.0), 1..9);
    let rest = (
        vec(feature(), 0..70),
        any::<i64>(),
        any::<[bool; 2]>(),
        any::<u64>(),
        any::<usize>(),
    );
    (texts, texts_kept, arms, rest).prop_map(|(mut texts, mut kept, arms, rest)| {
        let (features, at_ms, [routed, degraded], policy_version, draw) = rest;
        let total: f64 = arms.iter().map(|(_, weight)| weight).sum();
        let probabilities = arms.iter().map(|(_, weight)| weight / total).collect();
        let chosen = u32::try_from(draw % arms.len()).unwrap();
        let mut text = || texts.pop().unwrap();
        let mut kept = || kept.pop().unwrap();
        Record::Decision(Decision {
            id: text(),
            at_ms,
            tenant: text(),
            user: text(),
            client: text(),
            cohort: text(),
            language: kept(),
            file: kept(),
            prefix: kept(),
            suffix: kept(),
            facts: text(),
            features,
            schema: text(),
            arms: arms.into_iter().map(|(arm, _)| arm).collect(),
            probabilities,
            chosen,
            routed,
            degraded,
            policy_version,
            model: text(),
        })
    })
}

fn served() -> impl Strategy<Value = Record> {
    let texts = (text(), text(), text(), text());
    let rest = (
        any::<u32>(),
        any::<i64>(),
        any::<bool>(),
        option::of(number()),
        number(),
    );
    (texts, rest).prop_map(|((decision, arm, text, ending), rest)| {
        let (choice, at_ms, fallback, first_byte_ms, total_ms) = rest;
        let tokens = choice ^ 7;
        Record::Served(Served {
            decision,
            choice,
            at_ms,
            arm,
            fallback,
            text,
            ending,
            first_byte_ms,
            total_ms,
            tokens,
        })
    })
}

fn evidence() -> impl Strategy<Value = Record> {
    let texts = (text(), text(), text(), option::of(text()));
    let rest = (
        any::<u32>(),
        any::<i64>(),
        any::<bool>(),
        number(),
        number(),
    );
    (texts, rest).prop_map(|((decision, fate, source, kept_text), rest)| {
        let (choice, at_ms, settled, kept_share, edit_distance) = rest;
        let (accepted_chars, shown_chars) = (choice / 2, choice);
        Record::Evidence(Evidence {
            decision,
            choice,
            at_ms,
            fate,
            kept_share,
            accepted_chars,
            shown_chars,
            edit_distance,
            settled,
            source,
            kept_text,
        })
    })
}

fn other() -> impl Strategy<Value = Record> {
    let event = (
        text(),
        any::<u32>(),
        any::<i64>(),
        text(),
        option::of(any::<u32>()),
        option::of(text()),
    );
    let policy = (any::<i64>(), any::<[u64; 3]>(), vec(text(), 5));
    let figures = vec(option::of(-1.0_f64..1.0), 3);
    let verdict = (
        any::<i64>(),
        any::<bool>(),
        figures,
        any::<u64>(),
        vec(text(), 5),
    );
    let model = (any::<i64>(), text(), text(), option::of(text()), text());
    let configuration = (any::<i64>(), text(), any::<bool>(), text());
    prop_oneof![
        event.prop_map(|(decision, choice, at_ms, kind, accepted_chars, text)| {
            Record::Event(Event {
                decision,
                choice,
                at_ms,
                kind,
                accepted_chars,
                text,
            })
        }),
        policy.prop_map(|(at_ms, [version, through, seed], mut texts)| {
            let mut text = || texts.pop().unwrap();
            let (cohort, spec, sha256, reason) = (text(), text(), text(), text());
            let snapshot = (version % 2 == 0).then(text);
            Record::PolicyPublished(PolicyPublished {
                at_ms,
                version,
                through,
                seed,
                cohort,
                spec,
                sha256,
                reason,
                snapshot,
            })
        }),
        model.prop_map(|(at_ms, arm, kind, sha256, reason)| {
            Record::ModelPublished(ModelPublished {
                at_ms,
                arm,
                kind,
                sha256,
                reason,
            })
        }),
        configuration.prop_map(|(at_ms, sha256, accepted, message)| {
            Record::ConfigurationChanged(ConfigurationChanged {
                at_ms,
                sha256,
                accepted,
                message,
            })
        }),
        verdict.prop_map(|(at_ms, accepted, figures, rows, mut texts)| {
            let mut text = || texts.pop().unwrap();
            Record::Verdict(Verdict {
                at_ms,
                subject: text(),
                candidate: text(),
                against: text(),
                accepted,
                difference: figures[0],
                lo: figures[1],
                hi: figures[2],
                level: 0.95,
                rows,
                asked_by: text(),
                reasons: text(),
            })
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let record = prop_oneof![3 => decision(), 2 => served(), 2 => evidence(), 2 => other()];
    prop_oneof![
        6 => vec(record, 0..12).prop_map(Step::Append),
        2 => Just(Step::Seal),
        2 => Just(Step::Drop),
        1 => Just(Step::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(41),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn everything_is_read_back_bit_for_bit(steps in vec(step(), 1..16), stride in 1_usize..9) {
        let directory = TempDir::new().unwrap();
        let mut log = Log::open(directory.path(), quiet()).unwrap().0;
        let mut expected = Vec::new();
        for step in steps {
            match step {
                Step::Append(records) => {
                    let tickets: Vec<_> = records.iter().map(|r| log.append(r.clone())).collect();
                    for (ticket, record) in tickets.into_iter().zip(records) {
                        expected.push(record);
                        prop_assert_eq!(ticket.wait(), Ok(expected.len() as u64));
                    }
                }
                Step::Seal => prop_assert_eq!(log.seal(), Ok(expected.len() as u64)),
                Step::Drop | Step::Close => {
                    if matches!(step, Step::Close) {
                        log.close().unwrap();
                    }
                    drop(log);
                    let (opened, recovery) = Log::open(directory.path(), quiet()).unwrap();
                    prop_assert!(recovery.is_clean());
                    prop_assert_eq!(recovery.next_seq, expected.len() as u64 + 1);
                    log = opened;
                }
            }
        }
        let mut reader = LogReader::open(directory.path()).unwrap();
        let whole: Vec<_> = reader.entries().map(Result::unwrap).collect();
        let (mut followed, mut seq) = (Vec::new(), 0);
        loop {
            let entries = reader.after(seq, stride).unwrap();
            let Some(last) = entries.last() else { break };
            seq = last.seq;
            followed.extend(entries);
        }
        prop_assert_eq!(&followed, &whole);
        prop_assert!(reader.damage().is_none());
        prop_assert!(whole.iter().map(|entry| entry.seq).eq(1..=expected.len() as u64));
        for (entry, record) in whole.iter().zip(&expected) {
            // As text, since 0.0 and -0.0 are equal as numbers.
            prop_assert_eq!(format!("{:?}", entry.record), format!("{record:?}"));
        }
    }
}
